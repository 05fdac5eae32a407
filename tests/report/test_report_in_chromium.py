"""The page in a real browser: filters, links, keys, pictures, both schemes, hostile words.

Six images are on the page, named A to F; which of them stand is worked out from this table.

    A  Blue jeans     jeans 97 %, wash dark, fit slim, length full, faded
    B  Two together   jeans 80 %, wash light, fit wide; and shorts 60 %, length short, cargo
    C  Cut denim      denim_shorts 45 %, wash dark, length short, faded and cargo
    D  Tights         leggings 70 %, fit skinny, length not sure
    E  Blue vase      no garment
    F  Dark jeans     rejected: empty
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium, Tab, find_chromium
from report_pages import garment_row, image_row, maker, photo_bytes, report_of, square_mask

from jeans_udf.images import encode_png_rgba
from jeans_udf.report.cards import with_crops
from jeans_udf.report.data import Attribute, PhotoCard, Report, Sample
from jeans_udf.report.page import write_page
from jeans_udf.report.pictures import Album

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Chromium: set CHROMIUM to one, or install it, to test the page"
)
HOSTILE = """'"><img src=x onerror="window.hit=1"><script>window.hit=2</script>"""
STANDING = """[...document.querySelectorAll("[data-status]")]
    .filter((card) => card.checkVisibility()).map((card) => card.dataset.text.slice(-1)).join("")"""
CUTOUTS = """[...document.querySelectorAll(".garment")]
    .filter((one) => one.checkVisibility()).map((one) => one.querySelector("h5").textContent)"""


def photo(name: str, title: str, *garments: dict[str, object]) -> PhotoCard:
    """With a mask and cut-outs in it."""
    making = maker(Album())
    row = image_row(photo_bytes(80, 60), title=title, product_id=f"P-{name}", image_id=name)
    nothing = {"wash": None, "wash_score": None, "fit": None, "fit_score": None, "length": None,
               "length_score": None, "details": [], "attribute_scores": {}}  # fmt: skip
    rows = []
    for number, said in enumerate(garments):
        scores = {f"{group}_score": 0.9 for group in said if f"{group}_score" in nothing}
        values = {"garment_id": f"{name}{number}", "garment_no": number} | nothing | scores | said
        rows.append(garment_row(square_mask(), **values))
    card = making.photo(row, rows)
    assert making.album is not None
    png = encode_png_rgba(np.full((50, 30, 4), 200, np.uint8))
    return with_crops(card, {g.garment_id: making.album.crop(png) for g in card.garments})


def six_images() -> Report:
    tagged = (
        photo("A", "Blue jeans", {"score": 0.97, "wash": "dark", "fit": "slim", "length": "full",
                                  "details": ["faded"]}),
        photo("B", "Two together",
              {"score": 0.80, "wash": "light", "fit": "wide"},
              {"category": "shorts", "score": 0.60, "length": "short", "details": ["cargo"]}),
        photo("C", "Cut denim", {"category": "denim_shorts", "score": 0.45, "wash": "dark",
                                 "length": "short", "details": ["faded", "cargo"]}),
        photo("D", "Tights", {"category": "leggings", "score": 0.70, "fit": "skinny",
                              "length": None}),
    )  # fmt: skip
    rejected = image_row(b"", title="Dark jeans", image_id="F", reason="empty", detail="0 bytes")
    return report_of(tagged, (photo("E", "Blue vase"),), (maker(Album()).rejected(rejected),))


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    assert PROGRAM is not None
    with Chromium(PROGRAM, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(six_images(), tmp_path_factory.mktemp("page") / "page.html").as_uri()


@pytest.fixture
def tab(browser: Chromium, address: str) -> Iterator[Tab]:
    """The page, opened; it must have asked for nothing else and have nothing to complain of."""
    tab = Tab(browser)
    tab.open(address)
    yield tab
    assert tab.complaints == []
    assert tab.requests == set()
    tab.close()


def choose(tab: Tab, **values: str | int) -> None:
    """Set controls as a person does: a value, and the event of it."""
    for name, value in values.items():
        control = json.dumps(name if name in ("q", "status", "from", "to") else f"by-{name}")
        tab.evaluate(f"""{{
            const control = document.getElementById({control});
            control.value = {json.dumps(str(value))};
            if (control.value !== {json.dumps(str(value))}) throw new Error("no such choice");
            control.dispatchEvent(new Event("input", {{ bubbles: true }}));
        }}""")


def said(tab: Tab) -> str:
    return tab.evaluate("document.getElementById('shown').textContent")


@pytest.mark.parametrize(
    ("choice", "standing"),
    [
        ({}, "ABCDEF"),
        ({"status": "tagged"}, "ABCD"),
        ({"status": "no_garment"}, "E"),
        ({"status": "rejected"}, "F"),
        ({"category": "jeans"}, "AB"),
        ({"wash": "dark"}, "AC"),
        ({"details": "cargo"}, "BC"),
        ({"wash": "dark", "details": "cargo"}, "C"),
        ({"length": "short", "details": "cargo"}, "BC"),
        # B has shorts and has a light wash, but no shorts of a light wash.
        ({"category": "shorts", "wash": "light"}, ""),
        ({"fit": "wide", "category": "jeans"}, "B"),
        ({"length": "-"}, "D"),
        ({"q": "jeans"}, "AF"),
        ({"q": "  BLUE  jEANS "}, "A"),
        ({"q": "p-d"}, "D"),
        ({"q": "nowhere"}, ""),
        ({"q": "jeans", "wash": "dark"}, "A"),
        ({"from": 70}, "ABD"),
        ({"from": 71}, "AB"),
        ({"to": 60}, "BC"),
        ({"from": 50, "to": 60}, "B"),
        # B's jeans score more, its shorts have no wash.
        ({"to": 60, "wash": "light"}, ""),
        ({"status": "rejected", "wash": "dark"}, ""),
    ],
)
def test_filters_filter(tab: Tab, choice: dict[str, str | int], standing: str) -> None:
    choose(tab, **choice)
    assert tab.evaluate(STANDING) == standing
    assert said(tab) == f"{len(standing)} of 6 images shown"
    assert tab.evaluate("document.getElementById('nothing').checkVisibility()") == (not standing)
    # A heading without an image below it is gone, too.
    parts = [name for name, of in (("photos", "ABCD"), ("blank", "E"), ("rejected", "F"))
             if set(of) & set(standing)]  # fmt: skip
    seen = "[...document.querySelectorAll('.part')].filter((p) => p.checkVisibility())"
    assert tab.evaluate(f"{seen}.map((part) => part.id)") == parts


def test_reset_shows_all_again(tab: Tab) -> None:
    choose(tab, q="jeans", wash="dark", status="tagged", **{"from": 90})
    assert tab.evaluate(STANDING) == "A"
    tab.evaluate("document.querySelector('button[type=reset]').click()")
    tab.wait_for("document.getElementById('shown').textContent.startsWith('6 of 6')")
    assert tab.evaluate(STANDING) == "ABCDEF"
    assert tab.evaluate("location.hash") == ""
    assert tab.evaluate("document.querySelector('output[for=from]').value") == "0%"


def test_a_link_keeps_the_choice(tab: Tab, address: str) -> None:
    choose(tab, q="cut denim", details="cargo", to=60)
    hash_of_it = tab.evaluate("location.hash")
    assert hash_of_it == "#q=cut+denim&by-details=cargo&to=60"
    tab.open(address + hash_of_it)
    assert tab.evaluate(STANDING) == "C" and said(tab) == "1 of 6 images shown"
    values = "['q', 'by-details', 'to', 'from'].map((id) => document.getElementById(id).value)"
    assert tab.evaluate(values) == ["cut denim", "cargo", "60", "0"]
    # Another one in the same tab, as by a bookmark; then a section, which is no choice.
    tab.evaluate("location.hash = 'status=rejected'")
    tab.wait_for(f"({STANDING}) === 'F'")
    tab.evaluate("document.querySelector('nav a[href=\"#counts\"]').click()")
    assert tab.evaluate("location.hash") == "#counts" and tab.evaluate(STANDING) == "F"


@pytest.mark.parametrize(
    "hash_of_it",
    ["#by-wash=%3Cimg%20src%3Dx%3E&status=%00", "#elements=1&length=2&__proto__=x&from=no", "#=",
     "#%E0="],
)
def test_a_strange_link_shows_all(tab: Tab, address: str, hash_of_it: str) -> None:
    tab.open(address + hash_of_it)
    assert tab.evaluate(STANDING) == "ABCDEF"


def test_cut_outs_are_those_of_the_garments_that_are_meant(tab: Tab) -> None:
    assert len(tab.evaluate(CUTOUTS)) == 5
    tab.evaluate("document.getElementById('view-cutouts').click()")
    assert said(tab) == "5 cut-outs in 6 of 6 images shown"
    assert not tab.evaluate("document.querySelector('.photo').checkVisibility()")
    choose(tab, details="cargo")
    assert tab.evaluate(CUTOUTS) == ["shorts 60%", "denim shorts 45%"]
    assert said(tab) == "2 cut-outs in 2 of 6 images shown"
    assert tab.evaluate("location.hash") == "#by-details=cargo&view=cutouts"
    # With its photo a garment is shown beside the others of it.
    tab.evaluate("document.getElementById('view-photos').click()")
    assert tab.evaluate(CUTOUTS) == ["jeans 80%", "shorts 60%", "denim shorts 45%"]


def test_masks_can_be_taken_away(tab: Tab) -> None:
    seen = "getComputedStyle(document.querySelector('img.overlay')).visibility"
    assert tab.evaluate(seen) == "visible"
    tab.evaluate("document.getElementById('overlays').click()")
    assert tab.evaluate(seen) == "hidden"


def test_every_picture_loads(tab: Tab) -> None:
    found = tab.evaluate("""Promise.all([...document.images].map(async (image) => {
        image.loading = "eager";
        await image.decode();
        return image.naturalWidth;
    }))""")
    # Four photos and their masks, five cut-outs, the vase; the rejected one has no picture.
    assert len(found) == 14 and min(found) > 0
    lazy = Path(tab.evaluate("location.pathname")).read_text().count('loading="lazy"')
    assert lazy == 14


def test_a_keyboard_reaches_every_control(tab: Tab) -> None:
    focused = "document.activeElement.id || document.activeElement.getAttribute('href') || " \
              "document.activeElement.type || document.activeElement.tagName"  # fmt: skip
    reached = []
    for _ in range(22):
        tab.press("Tab", 9)
        reached.append(tab.evaluate(focused))
    controls = ["q", "status", "by-category", "by-wash", "by-fit", "by-length", "by-details",
                "from", "to", "reset", "view-photos", "overlays"]  # fmt: skip
    assert reached[0] == "#gallery"
    assert reached[1:6] == ["#counts", "#gallery", "#similar", "#queries", "#runs"]
    assert reached[6:18] == controls


def test_keys_work_the_controls(tab: Tab) -> None:
    outlined = "getComputedStyle(document.activeElement).outlineStyle"
    tab.press("Tab", 9)
    assert tab.evaluate(outlined) == "solid"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    tab.press("Enter", 13, "\r")
    assert tab.evaluate("location.hash") == "#gallery"
    place = "document.getElementById('gallery').getBoundingClientRect().top"
    assert abs(tab.evaluate(place)) < 9
    tab.evaluate("document.getElementById('q').focus()")
    for letter in "vase":
        tab.press(letter, ord(letter.upper()), letter)
    # Enter would send a form.
    tab.press("Enter", 13, "\r")
    assert tab.evaluate(STANDING) == "E" and tab.evaluate("location.hash") == "#q=vase"
    tab.evaluate("document.querySelector('button[type=reset]').focus()")
    tab.press("Enter", 13, "\r")
    tab.wait_for(f"({STANDING}) === 'ABCDEF'")
    tab.evaluate("document.getElementById('to').focus()")
    tab.press("ArrowLeft", 37)
    assert said(tab) == "4 of 6 images shown" and tab.evaluate("location.hash") == "#to=99"
    tab.evaluate("document.getElementById('view-photos').focus()")
    tab.press("ArrowRight", 39)
    assert said(tab) == "5 cut-outs in 4 of 6 images shown"


@pytest.mark.parametrize(
    ("scheme", "ground", "ink"),
    [("light", "rgb(246, 247, 249)", "rgb(28, 36, 48)"),
     ("dark", "rgb(16, 21, 28)", "rgb(230, 234, 240)")],
)  # fmt: skip
def test_the_scheme_is_the_readers(tab: Tab, scheme: str, ground: str, ink: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    tab.send("Emulation.setEmulatedMedia", features=[feature])
    style = "getComputedStyle(document.body)"
    assert tab.evaluate(f"[{style}.backgroundColor, {style}.color]") == [ground, ink]


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(tab: Tab, width: int) -> None:
    tab.resize(width, 844)
    assert tab.evaluate("document.documentElement.scrollWidth") == width


def test_without_a_script_all_is_shown(tab: Tab, address: str) -> None:
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(address + "#status=rejected")
    assert tab.evaluate(STANDING) == "ABCDEF"
    assert not tab.evaluate("document.getElementById('filters').checkVisibility()")


def test_a_page_of_rejected_images_alone_works(tab: Tab, tmp_path: Path) -> None:
    report = replace(six_images(), tagged=Sample((), 0), blank=Sample((), 0))
    tab.open(write_page(report, tmp_path / "page.html").as_uri())
    assert tab.evaluate(STANDING) == "F" and said(tab) == "1 of 1 images shown"
    choose(tab, q="jeans", status="tagged")
    assert tab.evaluate(STANDING) == "" and said(tab) == "0 of 1 images shown"


def test_a_page_without_images_works(tab: Tab, tmp_path: Path) -> None:
    tab.open(write_page(report_of(), tmp_path / "page.html").as_uri())
    assert tab.evaluate("document.querySelector('#photos .none').checkVisibility()")


def hostile_report() -> Report:
    card = photo("A", HOSTILE, {"wash": "dark"})
    attribute = Attribute("wash", HOSTILE, 0.9)
    garment = replace(card.garments[0], category=HOSTILE, attributes=(attribute,))
    card = replace(card, image_id=HOSTILE, product_id=HOSTILE, garments=(garment,))
    bad = image_row(b"", title=HOSTILE, image_id=HOSTILE, reason="empty", detail=HOSTILE)
    return report_of((card,), (), (maker(Album()).rejected(bad),), title=HOSTILE)


def test_hostile_words_do_nothing(tab: Tab, tmp_path: Path) -> None:
    page = write_page(hostile_report(), tmp_path / "page.html").as_uri()
    tab.open(page)
    assert tab.evaluate("document.title") == HOSTILE
    assert tab.evaluate("document.querySelectorAll('script').length") == 1
    assert tab.evaluate("[...document.images].every((i) => i.src.startsWith('data:'))")
    choose(tab, wash=HOSTILE, q=HOSTILE)
    assert said(tab) == "1 of 2 images shown"
    tab.open(page + tab.evaluate("location.hash"))
    assert said(tab) == "1 of 2 images shown"
    assert tab.evaluate("window.hit") is None


def test_the_policy_stops_what_gets_into_the_page(browser: Chromium, address: str) -> None:
    tab = Tab(browser)
    tab.open(address)
    tab.evaluate("""{
        const script = document.createElement("script");
        script.textContent = "window.hit = 3";
        const picture = '<img src="data:," onerror="window.hit = 4">';
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", picture);
    }""")
    tab.wait_for("document.images[document.images.length - 1].complete")
    assert tab.evaluate("window.hit") is None
    told = json.dumps(tab.complaints)
    assert "Content Security Policy" in told and "script-src" in told

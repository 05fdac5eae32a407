"""The page in a real browser: filters, links, pictures, what gets in and does nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from chromium import Chromium, Tab
from report_pages import report_of
from six_images import CUTOUTS, HOSTILE, STANDING, choose, hostile_report, said, six_images

from jeans_udf.report.data import Sample
from jeans_udf.report.page import write_page


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
    # None of the choices is left blank.
    places = "[...document.querySelectorAll('select')].map((select) => select.selectedIndex)"
    assert set(tab.evaluate(places)) == {0}


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

"""The page for keyboards, screen readers and both schemes: what can be told without a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from report_pages import MOMENT, ROOT, Page, full_card, image_row, maker, photo_bytes, report_of

from jeans_udf.report.colours import OTHERS, SHIPPED
from jeans_udf.report.data import (
    Attribute,
    Chart,
    LabelQuality,
    ProductCard,
    Quality,
    Report,
    RunSummary,
    Similar,
    WeakCard,
)
from jeans_udf.report.page import render_page
from jeans_udf.report.pictures import Album

THEME = (ROOT / "jeans_udf/report/templates/theme.css").read_text()
SCHEMES = ("light", "dark")
PAIRS = [
    (text, ground)
    for text, grounds in {
        "ink": ("paper", "ground"), "soft": ("paper", "ground", "mat"), "paper": ("denim",),
        "denim": ("ground", "paper"), "alarm": ("alarm-ground",), "chip": ("chip-ground",),
        "chip-soft": ("chip-ground",), "unsure": ("paper",),
    }.items()
    for ground in grounds
]  # fmt: skip
"""Every text and what it stands on, as style.css has them."""


def colours(scheme: str) -> dict[str, str]:
    parts = THEME.split("@media screen and (prefers-color-scheme: dark)")
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part)) for part in parts)
    return light | dark if scheme == "dark" else light


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(text: str, ground: str, scheme: str) -> None:
    found = colours(scheme)
    assert contrast(found[text], found[ground]) >= 4.5


@pytest.mark.parametrize("scheme", SCHEMES)
def test_edges_of_controls_can_be_seen(scheme: str) -> None:
    found = colours(scheme)
    assert contrast(found["edge"], found["paper"]) >= 3


def test_white_names_can_be_read_on_every_category() -> None:
    assert all(contrast("#ffffff", colour) >= 4.5 for colour in (*SHIPPED.values(), *OTHERS))


def test_every_colour_has_one_for_the_dark() -> None:
    both = colours("light")
    dark = THEME.split("prefers-color-scheme: dark")[1]
    assert set(re.findall(r"--([a-z-]+):", dark)) == set(both)
    style = (ROOT / "jeans_udf/report/templates/style.css").read_text()
    assert set(re.findall(r"var\(--([a-z-]+)\)", style)) == set(both)


def whole_report() -> Report:
    """One with every section."""
    card = full_card()
    garment = card.garments[0]
    blank = maker(Album()).photo(image_row(photo_bytes(80, 60)))
    bad = maker(Album()).rejected(image_row(b"", reason="empty", detail="0 bytes"))
    run = RunSummary("r-7", MOMENT, MOMENT, 3, 0, 1, 1, 8.0, 60.0, "m", 0)
    one = LabelQuality("wash", "dark", 0.5, 0.25, 0.333, 4)
    never = replace(one, label="light", support=0)
    near = ProductCard("P2", None, 0.875)
    return report_of(
        (card,), (blank,), (bad,),
        charts=(Chart("Category", (("jeans", 1),), coloured=True),),
        runs=(run,),
        weakest=(WeakCard("P1/a.png", "P1", garment, Attribute("fit", "slim", 0.52)),),
        similar=(Similar(ProductCard("P1", garment), (near,)),),
        quality=Quality("truth.csv", 9, 4, 1, (one, never), replace(one, label=""), 0.333, 0.75),
    )  # fmt: skip


class Outline(HTMLParser):
    """Headings with their levels, and which of some tags stand in which."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.tables: list[set[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "table":
            self.tables.append(set())
        elif self.tables:
            self.tables[-1].add(tag)


def test_headings_are_in_order_and_tables_have_captions() -> None:
    outline = Outline(render_page(whole_report()))
    assert outline.levels[0] == 1 and outline.levels.count(1) == 1
    pairs = zip(outline.levels, outline.levels[1:], strict=False)
    assert all(after <= before + 1 for before, after in pairs), outline.levels
    assert len(outline.tables) == 3
    assert all({"caption", "thead", "th"} <= table for table in outline.tables)


def test_landmarks_and_names_are_there() -> None:
    page = Page(render_page(whole_report()))
    tags = [tag for tag, _ in page.tags]
    assert all(tags.count(tag) == 1 for tag in ("header", "nav", "main", "footer", "form"))
    assert all("alt" in image for image in page.all("img"))
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    # Every control has a label, every link within the page a place.
    labelled = {label.get("for") for label in page.all("label")}
    controls = [*page.all("input"), *page.all("select")]
    assert {control["id"] for control in controls} == labelled
    assert {(a["href"] or "")[1:] for a in page.all("a")} <= set(ids)
    (live,) = (a for _, a in page.tags if a.get("aria-live"))
    assert live["aria-live"] == "polite" and live["role"] == "status"


def test_the_findings_are_told() -> None:
    text = " ".join(Page(render_page(whole_report())).text.split())
    for words in ("fit: slim 52%", "cosine 0.88", "4 of 9 labelled images are in the tables",
                  "in 1 of them no garment was found", "right in 75%"):  # fmt: skip
        assert words in text, words
    assert "dark wash 0.50 0.25 0.33 4" in text and "light wash – – – 0" in text
    assert "(micro) 0.50 0.25 0.33 4" in text and "(macro) 0.33" in text


def test_without_neighbours_the_page_says_what_makes_them() -> None:
    assert "jobs/embed_products.py" in Page(render_page(report_of())).text
    again = Page(render_page(report_of(similar=()))).text
    assert "jobs/embed_products.py" in again and "Not computed" not in again


def test_the_share_shown_is_told() -> None:
    report = whole_report()
    few = replace(report, statuses={"tagged": 50_000, "rejected": 4},
                  tagged=replace(report.tagged, total=50_000))  # fmt: skip
    text = Page(render_page(few)).text
    assert "1 of 50,000 shown (0.01%)" in text and "3 of 50,004 on this page" in text
    assert "A sample" in text
    assert "A sample" not in Page(render_page(report)).text

"""What the filters offer, and what the script is told of a card."""

from __future__ import annotations

import json
from dataclasses import replace

from report_pages import Page, full_card, report_of

from jeans_udf.report.data import Attribute, GarmentCard
from jeans_udf.report.facets import facets, garment_facts
from jeans_udf.report.page import SHOWN_GARMENTS, render_page

BOX = (0.0, 0.0, 9.0, 9.0)


def garment(category: str, *attributes: Attribute, score: float = 0.9) -> GarmentCard:
    return GarmentCard("g", category, score, BOX, attributes)


def test_labels_are_counted_by_photos_and_what_is_not_sure_comes_last() -> None:
    dark, light = Attribute("wash", "dark", 0.9), Attribute("wash", "light", 0.8)
    unsure, zip_fly = Attribute("wash", None, 0.2), Attribute("closing", "zip", 0.7)
    cards = [
        replace(full_card(), garments=garments)
        for garments in (
            (garment("jeans", unsure), garment("jeans", unsure)),
            (garment("jeans", unsure), garment("skirt", light)),
            (garment("skirt", dark, zip_fly), garment("skirt", light)),
        )
    ]
    found = {facet.group: facet.labels for facet in facets(cards)}
    # Two jeans in one photo: choosing jeans leaves that photo once.
    assert found == {
        "category": (("jeans", 2), ("skirt", 2)),
        "wash": (("light", 2), ("dark", 1), ("-", 2)),
        "closing": (("zip", 1),),
    }
    assert list(found) == ["category", "wash", "closing"]


def test_no_cards_give_no_filters() -> None:
    assert facets([]) == [] and garment_facts(replace(full_card(), garments=())) == []


def test_a_garment_without_room_on_the_card_is_told_too() -> None:
    many = tuple(garment("jeans", score=n / 10) for n in range(SHOWN_GARMENTS + 2))
    facts = garment_facts(replace(full_card(), garments=many))
    assert [fact["score"] for fact in facts] == [0, 10, 20, 30, 40, 50]


def test_scores_are_those_that_are_read_on_the_card() -> None:
    card = replace(full_card(), garments=(garment("jeans", score=0.745), garment("j", score=0.696)))
    assert [fact["score"] for fact in garment_facts(card)] == [74, 70]
    text = Page(render_page(report_of((card,)))).text
    assert "jeans 74%" in text and "j 70%" in text


def test_facts_survive_quotes_and_tags() -> None:
    nasty = "'\"></article><script>&amp;"
    card = replace(full_card(), garments=(garment(nasty, Attribute("wash", nasty, 0.9)),))
    page = Page(render_page(report_of((card,))))
    (told,) = (a["data-garments"] for a in page.all("article") if "data-garments" in a)
    assert json.loads(told or "")[0]["labels"] == {"category": [nasty], "wash": [nasty]}
    values = {option["value"] for option in page.all("option")}
    assert nasty in values and len(page.all("script")) == 1

"""Six images on a page, A to F, and what a browser says of them.

Which of them stand is worked out from this table:

    A  Blue jeans     jeans 97 %, wash dark, fit slim, length full, faded
    B  Two together   jeans 80 %, wash light, fit wide; and shorts 60 %, length short, cargo
    C  Cut denim      denim_shorts 45 %, wash dark, length short, faded and cargo
    D  Tights         leggings 70 %, fit skinny, length not sure
    E  Blue vase      no garment
    F  Dark jeans     rejected: empty
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
from chromium import Tab
from report_pages import garment_row, image_row, maker, photo_bytes, report_of, square_mask

from jeans_udf.png import encode_png_rgba
from jeans_udf.report.cards import with_crops
from jeans_udf.report.data import Attribute, PhotoCard, Report
from jeans_udf.report.pictures import Album

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


def hostile_report() -> Report:
    card = photo("A", HOSTILE, {"wash": "dark"})
    attribute = Attribute("wash", HOSTILE, 0.9)
    garment = replace(card.garments[0], category=HOSTILE, attributes=(attribute,))
    card = replace(card, image_id=HOSTILE, product_id=HOSTILE, garments=(garment,))
    bad = image_row(b"", title=HOSTILE, image_id=HOSTILE, reason="empty", detail=HOSTILE)
    return report_of((card,), (), (maker(Album()).rejected(bad),), title=HOSTILE)


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

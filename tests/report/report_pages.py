"""Cards and pages made by hand, and what is on a page."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jeans_udf.config import ImageLimits
from jeans_udf.geometry import encode_rle
from jeans_udf.png import encode_png_rgba
from jeans_udf.report.cards import CardMaker, with_crops
from jeans_udf.report.data import PhotoCard, RejectedCard, Report, Sample
from jeans_udf.report.pictures import Album
from jeans_udf.report.queries import example_queries
from jeans_udf.views.groups import Groups

ROOT = Path(__file__).resolve().parents[2]
MOMENT = datetime(2026, 5, 4, 13, 37, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>"
GROUPS = Groups(("wash", "fit", "length"), ("details",), {"details": ("distressed", "faded")})


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, and the text that is shown."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.last = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.last = tag

    def handle_endtag(self, tag: str) -> None:
        self.last = ""

    def handle_data(self, data: str) -> None:
        if self.last not in ("style", "script"):
            self.text += " ".join(data.split()) + " "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def classes(self, name: str) -> int:
        return sum(name in (a.get("class") or "").split() for _, a in self.tags)


def photo_bytes(height: int, width: int, colour: tuple[int, int, int] = (90, 120, 160)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)


def image_row(data: bytes | None, **values: Any) -> dict[str, Any]:
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    row = {
        "image_id": "P1/front.png", "product_id": "P1", "title": "Blue jeans", "image": data,
        "path": None, "reason": None, "detail": None, "width": 60, "height": 80,
        "image_sha256": digest,
    }  # fmt: skip
    return row | values


def garment_row(region: np.ndarray | None, /, **values: Any) -> dict[str, Any]:
    rle = None
    if region is not None:
        coded = encode_rle(region)
        rle = {"height": region.shape[0], "width": region.shape[1], "counts": coded["counts"]}
    row = {
        "garment_id": "g1", "garment_no": 0, "category": "jeans", "score": 0.97,
        "box": {"x_min": 10.0, "y_min": 20.0, "x_max": 40.0, "y_max": 70.0}, "mask": rle,
        "wash": "dark", "wash_score": 0.91, "fit": "slim", "fit_score": 0.52,
        "length": None, "length_score": 0.31, "details": ["faded"],
        "attribute_scores": {"dark": 0.91, "slim": 0.52, "faded": 0.74},
    }  # fmt: skip
    return row | values


def square_mask(height: int = 80, width: int = 60) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[20:70, 10:40] = True
    return mask


def report_of(
    photos: tuple[PhotoCard, ...] = (),
    blank: tuple[PhotoCard, ...] = (),
    rejected: tuple[RejectedCard, ...] = (),
    /,
    **values: Any,
) -> Report:
    found = {"tagged": len(photos), "no_garment": len(blank), "rejected": len(rejected)}
    plain: dict[str, Any] = dict(
        title="Spring catalog",
        source="/data/product_images",
        output="/data/tags",
        made_at=MOMENT,
        model_version="default-0123456789ab",
        statuses={status: count for status, count in found.items() if count},
        garments=sum(len(card.garments) for card in photos),
        runs=(),
        charts=(),
        tagged=Sample(photos, len(photos)),
        blank=Sample(blank, len(blank)),
        rejected=Sample(rejected, len(rejected)),
        queries=example_queries("/data/tags", GROUPS),
    )
    return Report(**plain | values)


def maker(album: Album | None = None) -> CardMaker:
    return CardMaker(GROUPS, ImageLimits(), album)


def full_card() -> PhotoCard:
    making = maker(Album())
    card = making.photo(image_row(photo_bytes(80, 60)), [garment_row(square_mask())])
    crop = np.zeros((50, 30, 4), np.uint8)
    crop[5:, 5:] = (90, 120, 160, 255)
    assert making.album is not None
    return with_crops(card, {"g1": making.album.crop(encode_png_rgba(crop))})

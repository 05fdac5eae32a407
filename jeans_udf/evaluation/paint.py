"""Truth and detections drawn onto photos, and a sheet of them as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from jeans_udf.evaluation.contact_sheet import cut, font
from jeans_udf.evaluation.gallery import Example, Shelf
from jeans_udf.geometry import decode_rle
from jeans_udf.report.colours import rgb
from jeans_udf.report.pictures import PHOTO_SIDE, shrink, tint

TRUTH, FOUND = "#0b8f6a", "#d9480f"
"""Green and orange: both stand out from denim, and differ in lightness too."""
TILE_WIDTH, TILE_HEIGHT, GAP = 220, 280, 12
"""Of a photo on the sheet, pixels."""


LABEL_HEIGHT = 18
Label = tuple[tuple[float, float], str, str]
"""Where its left top corner should be, text, colour."""


@dataclass(frozen=True)
class Tile:
    """A photo drawn in two sizes, each ``(h, w, 3) uint8`` RGB, and the lines below it.

    ``picture`` is for the page, ``small`` for the sheet: text that is shrunk cannot be read.
    """

    picture: np.ndarray
    small: np.ndarray
    name: str
    text: str


def paint(
    example: Example, pixels: np.ndarray, categories: Sequence[str], side: int = PHOTO_SIDE
) -> np.ndarray:
    """``pixels (H, W, 3) uint8`` with truth and detections drawn, ``(h, w, 3) uint8``.

    Shrunk first, until the longer side has at most ``side`` pixels. Each garment has its category
    in the truth's colour below it, each detection its category and score in the other colour above
    it. What the example is about has a box of thick lines.
    """
    height, width = pixels.shape[:2]
    small = shrink(pixels, side)
    image = Image.fromarray(small).convert("RGBA")
    scale = small.shape[1] / width
    photo, rows = example.found.photo, example.found.rows
    masked = [row["segmentation"] for row in rows if "segmentation" in row]
    for rles, colour in ((photo.rles, TRUTH), (masked, FOUND)):
        masks = [decode_rle(rle) for rle in rles]
        layer = tint(small.shape[0], small.shape[1], masks, [rgb(colour)] * len(masks))
        image.alpha_composite(Image.fromarray(layer))
    draw = ImageDraw.Draw(image)
    labels = []
    for index, (category, rle) in enumerate(zip(photo.classes, photo.rles, strict=True)):
        box = _scaled(coco_mask.toBbox(rle).tolist(), scale)
        labels.append(((box[0], box[3]), _words(categories[category]), TRUTH))
        if example.garment == index:
            draw.rectangle(box, outline=TRUTH, width=3)
    for index, row in enumerate(rows):
        box = _scaled(row["bbox"], scale)
        text = f"{_words(categories[row['category_id'] - 1])} {row['score']:.2f}"
        labels.append(((box[0], box[1] - LABEL_HEIGHT), text, FOUND))
        if example.detection == index or "segmentation" not in row:
            draw.rectangle(box, outline=FOUND, width=3 if example.detection == index else 1)
    _draw_labels(draw, labels, *image.size)
    return np.asarray(image.convert("RGB"))


def draw_sheet(shelves: Sequence[tuple[Shelf, Sequence[Tile]]], columns: int) -> Image.Image:
    """All shelves below each other, ``columns`` pictures wide, with names and texts."""
    step = TILE_HEIGHT + 52
    heights = [44 + step * -(-len(tiles) // columns) for _, tiles in shelves]
    width = GAP + columns * (TILE_WIDTH + GAP)
    sheet = Image.new("RGB", (width, 52 + sum(heights)), "white")
    draw = ImageDraw.Draw(sheet)
    legend = [((GAP, 16), "truth", TRUTH), ((GAP + 70, 16), "detected", FOUND)]
    _draw_labels(draw, legend, *sheet.size)
    top = 52
    for (shelf, tiles), height in zip(shelves, heights, strict=True):
        shown = f"{len(tiles)} of {shelf.total}" if tiles else "none"
        draw.text((GAP, top + 8), f"{shelf.title} ({shown})", "#1c2430", font=font(19))
        for index, tile in enumerate(tiles):
            row, column = divmod(index, columns)
            _place(sheet, draw, tile, GAP + column * (TILE_WIDTH + GAP), top + 44 + row * step)
        top += height
    return sheet


def _place(sheet: Image.Image, draw: Any, tile: Tile, left: int, top: int) -> None:
    picture = Image.fromarray(tile.small)
    picture.thumbnail((TILE_WIDTH, TILE_HEIGHT), Image.Resampling.LANCZOS)
    sheet.paste(picture, (left + (TILE_WIDTH - picture.width) // 2,
                          top + (TILE_HEIGHT - picture.height) // 2))  # fmt: skip
    for line, (text, colour) in enumerate(((tile.name, "#1c2430"), (tile.text, "#566070"))):
        place = (left, top + TILE_HEIGHT + 5 + 17 * line)
        draw.text(place, cut(text, 12, TILE_WIDTH), colour, font=font(12))


def _draw_labels(draw: Any, labels: Sequence[Label], width: int, height: int) -> None:
    """Each text on its colour, within the picture and below those that are there already."""
    taken: list[tuple[float, float, float]] = []
    for (x, y), text, colour in labels:
        size = font(13).getlength(text) + 8
        left = max(0.0, min(x, width - size))
        top = max(0.0, min(y, height - LABEL_HEIGHT))
        for other_left, other_top, other_size in sorted(taken, key=lambda place: place[1]):
            beside = left >= other_left + other_size or other_left >= left + size
            if not beside and abs(top - other_top) < LABEL_HEIGHT:
                top = other_top + LABEL_HEIGHT
        taken.append((left, top, size))
        draw.rectangle((left, top, left + size, top + LABEL_HEIGHT - 1), fill=colour)
        draw.text((left + 4, top + 1), text, "white", font=font(13))


def _scaled(box: Sequence[float], scale: float) -> list[float]:
    """XYWH to XYXY of the small picture."""
    x, y, w, h = (float(value) * scale for value in box)
    return [x, y, x + max(w, 0.0), y + max(h, 0.0)]


def _words(name: str) -> str:
    return name.replace("_", " ")

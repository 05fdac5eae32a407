"""Photos, garments and results for the tests of the evaluation: rectangles with known overlaps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jeans_udf.geometry import encode_rle
from jeans_udf.training.coco import Photo

Box = tuple[int, int, int, int]
"""XYXY in pixels."""
CATEGORIES = ("jeans", "shorts")


def rectangle(box: Box, side: int = 100) -> dict[str, Any]:
    left, top, right, bottom = box
    mask = np.zeros((side, side), dtype=bool)
    mask[top:bottom, left:right] = True
    return encode_rle(mask)


def photo(number: int, *garments: tuple[int, Box], path: Path = Path("x.png")) -> Photo:
    """A photo of 100 x 100 with garments of (class, box)."""
    return Photo(
        path, number, 100, 100,
        tuple(range(len(garments))),
        tuple(category for category, _ in garments),
        tuple(rectangle(box) for _, box in garments),
    )  # fmt: skip


def result(
    number: int, category: int, box: Box, score: float, masked: bool = True
) -> dict[str, Any]:
    """A result row; ``category`` counts from 0 as in `photo`."""
    left, top, right, bottom = box
    row: dict[str, Any] = {
        "image_id": number,
        "category_id": category + 1,
        "score": score,
        "bbox": [left, top, right - left, bottom - top],
    }
    return row | {"segmentation": rectangle(box)} if masked else row


def write_set(folder: Path, crowd: bool = True) -> Path:
    """Four photos of 96 x 72 and ``coco.json``: jeans, two garments, none, and a crowd."""
    rng = np.random.default_rng(4)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, name in enumerate(("street_1.png", "flat_1.png", "flat_2.png", "flat_3.png")):
        pixels = rng.integers(90, 160, (96, 72, 3), dtype=np.uint8)
        garments = {0: [(1, 10, 8, 50, 80)], 1: [(4, 5, 5, 30, 40), (3, 36, 20, 70, 90)],
                    3: [(1, 10, 8, 50, 80)] if crowd else []}.get(number, [])  # fmt: skip
        for category, left, top, right, bottom in garments:
            pixels[top:bottom, left:right] = (40, 60, 40 + 40 * category)
            mask = np.zeros((96, 72), dtype=bool)
            mask[top:bottom, left:right] = True
            annotations.append({
                "id": len(annotations), "image_id": number + 10, "category_id": category,
                "segmentation": encode_rle(mask), "iscrowd": int(number == 3),
                "area": int(mask.sum()), "bbox": [left, top, right - left, bottom - top],
            })  # fmt: skip
        Image.fromarray(pixels).save(folder / name)
        images.append({"id": number + 10, "file_name": name, "height": 96, "width": 72})
    names = ("jeans", "denim_shorts", "trousers", "shorts", "leggings")
    data = {"images": images, "annotations": annotations,
            "categories": [{"id": k, "name": name} for k, name in enumerate(names, 1)]}  # fmt: skip
    (folder / "coco.json").write_text(json.dumps(data))
    return folder / "coco.json"

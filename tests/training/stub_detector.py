"""A stub in place of a detector, which says so in its name, and photos that it can look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jeans_udf.models.detections import Detections

CATEGORIES = ("jeans", "shorts")
HEIGHT, WIDTH = 60, 48
GARMENT = (10, 20, 38, 48)
"""XYXY of the garment of every photo: 28 pixels wide and high, as coarse as a predicted mask."""
BACKDROP, CLOTH = (10, 20, 30), (200, 100, 50)


class StubDetector:
    """Finds ``boxes`` (XYXY) on every photo, with falling scores from ``score``; no model."""

    def __init__(
        self, *boxes: Sequence[float], score: float = 0.9, masks: np.ndarray | None = None
    ) -> None:
        self.boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        self.score, self.masks, self.looked = score, masks, 0

    def prepare(self, image: np.ndarray) -> np.ndarray:
        return image

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        self.looked += len(images)
        count = len(self.boxes)
        scores = np.array([self.score - 0.1 * k for k in range(count)], dtype=np.float32)
        classes = np.zeros(count, dtype=np.int64)
        of_class = np.stack([scores, 0 * scores], axis=1)
        return [Detections(self.boxes, scores, classes, of_class, self.masks) for _ in images]


def draw_photo(file: Path, garment: Sequence[int] | None = GARMENT) -> Path:
    """A plain backdrop, (60, 48), with a rectangle of cloth on it, as PNG."""
    pixels = np.full((HEIGHT, WIDTH, 3), BACKDROP, dtype=np.uint8)
    if garment is not None:
        left, top, right, bottom = garment
        pixels[top:bottom, left:right] = CLOTH
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file, "PNG")
    return file


def write_coco(file: Path, garments: dict[str, Sequence[int]]) -> Path:
    """A COCO file: photo names with the ids of the garments on each, all jeans of the same box."""
    left, top, right, bottom = GARMENT
    images: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for number, (name, ids) in enumerate(garments.items(), start=1):
        images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
        for identity in ids:
            notes.append({
                "id": identity, "image_id": number, "category_id": 1, "iscrowd": 0,
                "bbox": [left, top, right - left, bottom - top], "area": 28 * 28,
                "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
            })  # fmt: skip
    categories = [{"id": k, "name": name} for k, name in enumerate(CATEGORIES, start=1)]
    file.write_text(
        json.dumps({"images": images, "annotations": notes, "categories": categories})
    )
    return file

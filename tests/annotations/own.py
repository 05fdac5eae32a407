"""Small folders of photos and annotations to import, and shapes whose masks are known."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jobs import import_annotations

VOCABULARY = Path(__file__).resolve().parents[2] / "conf" / "vocabulary.yaml"
HEIGHT, WIDTH = 40, 60
SQUARE = [10.0, 5.0, 30.0, 5.0, 30.0, 25.0, 10.0, 25.0]
"""Polygon of the pixels 10..29 by 5..24."""


def square_mask() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[5:25, 10:30] = True
    return mask


def save_photo(path: Path, shade: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    """A photo of one grey; another ``shade`` gives other bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, shade, shade)).save(path)


def coco(count: int = 3) -> dict[str, Any]:
    """``count`` photos p1.png, p2.png, ... with the square as jeans in each."""
    return {
        "images": [
            {"id": n, "file_name": f"p{n}.png", "width": WIDTH, "height": HEIGHT}
            for n in range(1, count + 1)
        ],
        "categories": [{"id": 1, "name": "jeans"}, {"id": 2, "name": "shorts"}],
        "annotations": [
            {"id": 10 * n, "image_id": n, "category_id": 1, "segmentation": [SQUARE],
             "bbox": [10, 5, 20, 20], "iscrowd": 0}
            for n in range(1, count + 1)
        ],
    }  # fmt: skip


def save_photos(folder: Path, count: int = 3) -> Path:
    for number in range(1, count + 1):
        save_photo(folder / f"p{number}.png", 10 * number)
    return folder


def run(tmp_path: Path, data: Any, *more: str, file: str = "own.json") -> int:
    """The job on ``data`` as JSON, photos in ``photos/``, output in ``out/``; its exit code."""
    text = data if isinstance(data, str) else json.dumps(data)
    (tmp_path / file).write_text(text)
    return import_annotations.main([
        "--photos", str(tmp_path / "photos"), "--annotations", str(tmp_path / file),
        "--output", str(tmp_path / "out"), "--vocabulary", str(VOCABULARY), *more,
    ])  # fmt: skip


def faults(tmp_path: Path) -> list[dict[str, str]]:
    with (tmp_path / "out" / "faults.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def codes(tmp_path: Path) -> list[str]:
    return [fault["code"] for fault in faults(tmp_path)]


def written(tmp_path: Path, split: str) -> dict[str, Any]:
    return json.loads((tmp_path / "out" / f"instances_{split}.json").read_text())


def both(tmp_path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Images and annotations of both splits, by id."""
    parts = [written(tmp_path, split) for split in ("train", "val")]
    return tuple(
        sorted((one for part in parts for one in part[key]), key=lambda one: one["id"])
        for key in ("images", "annotations")
    )  # type: ignore[return-value]


def labelme(name: str, shapes: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": name,
            "imageData": "not base64", "imageHeight": HEIGHT, "imageWidth": WIDTH}  # fmt: skip


def via_region(shape: Mapping[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": dict(shape), "region_attributes": attributes}


def pairs(flat: list[float]) -> list[list[float]]:
    return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]

"""Outlines written as annotation tools write them: what `labelme` and `via` read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jeans_udf.annotations.outlines import Point
from jeans_udf.annotations.via import PROJECT_KEY


@dataclass(frozen=True)
class Outlined:
    """A garment's ring of points; attributes are a label, or a tuple of them, by group."""

    category: str
    outline: Sequence[Point]
    attributes: Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class OutlinedPhoto:
    """A photo's file, its size and its garments."""

    file: Path
    height: int
    width: int
    garments: Sequence[Outlined]


def write_labelme(folder: Path, photos: Sequence[OutlinedPhoto]) -> None:
    """One JSON file a photo in ``folder``; attributes become flags that are set."""
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        data: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [_labelme_shape(garment) for garment in photo.garments],
            "imagePath": os.path.relpath(photo.file, folder),
            "imageData": None,
            "imageHeight": photo.height,
            "imageWidth": photo.width,
        }
        _write(folder / f"{photo.file.stem}.json", data)


def write_via(file: Path, photos: Sequence[OutlinedPhoto]) -> None:
    """A project of VIA 2; the category is the region attribute ``category``."""
    entries = {}
    for photo in photos:
        size = photo.file.stat().st_size
        entries[f"{photo.file.name}{size}"] = {
            "filename": photo.file.name,
            "size": size,
            "regions": [_via_region(garment) for garment in photo.garments],
            "file_attributes": {},
        }
    project = {
        "_via_settings": {"project": {"name": file.stem}},
        PROJECT_KEY: entries,
        "_via_attributes": {"region": {"category": {"type": "text"}}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(entries),
    }
    _write(file, project)


def _labelme_shape(garment: Outlined) -> dict[str, Any]:
    flags: dict[str, bool] = {}
    for value in garment.attributes.values():
        flags.update((name, True) for name in ((value,) if isinstance(value, str) else value))
    return {
        "label": garment.category,
        "points": [list(point) for point in garment.outline],
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": flags,
    }


def _via_region(garment: Outlined) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        group: value if isinstance(value, str) else {name: True for name in value}
        for group, value in garment.attributes.items()
    }
    return {
        "shape_attributes": {
            "name": "polygon",
            "all_points_x": [x for x, _ in garment.outline],
            "all_points_y": [y for _, y in garment.outline],
        },
        "region_attributes": {"category": garment.category, **chosen},
    }


def _write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")

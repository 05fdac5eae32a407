"""COCO annotations as training and validation photos."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from jeans_udf.config import ImageLimits
from jeans_udf.errors import ConfigError
from jeans_udf.images import decode_image


@dataclass(frozen=True)
class Photo:
    """A photo and its garments: ``classes`` index the vocabulary, ``rles`` are COCO masks."""

    path: Path
    coco_id: int
    height: int
    width: int
    annotation_ids: tuple[int, ...]
    classes: tuple[int, ...]
    rles: tuple[dict[str, Any], ...]
    crowded: bool = False
    """Whether the file marks a crowd of garments (``iscrowd``) on it, which is none of these."""

    @property
    def is_negative(self) -> bool:
        """Whether the photo shows no garment at all."""
        return not self.classes and not self.crowded

    def pixels(self) -> np.ndarray:
        """(height, width, 3) uint8, RGB, upright."""
        return decode_image(self.path.read_bytes(), ImageLimits())

    def masks(self) -> np.ndarray:
        """(N, height, width) bool."""
        if not self.rles:
            return np.zeros((0, self.height, self.width), dtype=bool)
        return coco_mask.decode(list(self.rles)).transpose(2, 0, 1).astype(bool)


def read_coco(photos: str | Path, file: str | Path, categories: Sequence[str]) -> list[Photo]:
    """Photos of the COCO file ``file``, lying in the folder ``photos``; all masks RLE or polygons.

    Raises `ConfigError` for a missing file or photo, or a category that the vocabulary lacks.
    """
    data = _load(Path(file))
    names = {category["id"]: category["name"] for category in data["categories"]}
    unknown = sorted(set(names.values()) - set(categories))
    if unknown:
        raise ConfigError(f"{file}: categories {unknown} are not in the vocabulary {categories}")
    of_photo: dict[int, list[dict[str, Any]]] = defaultdict(list)
    crowded = set()
    for annotation in data["annotations"]:
        if annotation.get("iscrowd"):
            crowded.add(annotation["image_id"])
        else:
            of_photo[annotation["image_id"]].append(annotation)
    records = []
    for image in data["images"]:
        path = Path(photos) / image["file_name"]
        if not path.resolve().is_relative_to(Path(photos).resolve()):
            raise ConfigError(f"{file}: photo {image['file_name']!r} lies outside of {photos}")
        if not path.is_file():
            raise ConfigError(f"{file}: photo {image['file_name']!r} is not in {photos}")
        found = of_photo[image["id"]]
        records.append(
            Photo(
                path=path,
                coco_id=image["id"],
                height=image["height"],
                width=image["width"],
                annotation_ids=tuple(a["id"] for a in found),
                classes=tuple(categories.index(names[a["category_id"]]) for a in found),
                rles=tuple(
                    _rle(a["segmentation"], image["height"], image["width"]) for a in found
                ),
                crowded=image["id"] in crowded,
            )
        )
    return records


def read_negatives(listing: str | Path, photos: str | Path) -> list[Path]:
    """Photos known to show no garment: one relative path a line."""
    try:
        lines = Path(listing).read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise ConfigError(f"negatives {listing}: cannot be read ({error.strerror})") from None
    paths = [Path(photos) / line.strip() for line in lines if line.strip()]
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"negatives {listing}: {path.name!r} is not in {photos}")
    return paths


def negatives_as_photos(paths: Sequence[Path]) -> list[Photo]:
    """Photos without annotation; their size is not needed, as there is no mask."""
    return [Photo(path, -1, 0, 0, (), (), ()) for path in paths]


def check_validation(photos: Sequence[Photo], file: str | Path) -> None:
    """Raise `ConfigError` when no photo shows a garment: nothing could be told from them."""
    if not any(photo.classes for photo in photos):
        raise ConfigError(
            f"validation annotations {file}: no garment on {len(photos)} photos; wanted some of "
            "every category that matters"
        )


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"annotations {path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ConfigError(f"annotations {path}: not JSON: {error}") from None
    missing = {"images", "annotations", "categories"} - set(data)
    if missing:
        raise ConfigError(f"annotations {path}: keys {sorted(missing)} are missing; wanted COCO")
    return dict(data)


def _rle(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    if isinstance(segmentation, list):
        return dict(coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width)))
    if isinstance(segmentation["counts"], list):
        return dict(coco_mask.frPyObjects(segmentation, height, width))
    return dict(segmentation)

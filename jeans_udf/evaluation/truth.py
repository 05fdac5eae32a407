"""What detectors are judged by: photos with their garments, crowds, and groups of photos.

Garments marked ``iscrowd`` in a COCO file stand for several that nobody told apart. As in COCO's
own evaluation, they need not be found, and what is found on them is neither right nor wrong.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from jeans_udf.config import ImageLimits
from jeans_udf.errors import ConfigError
from jeans_udf.training.coco import Photo, read_coco

FARTHEST = 1e6
"""Pixels: a polygon beyond is a mistake, and following its edges would take all memory."""


@dataclass(frozen=True)
class Crowd:
    """A region of several garments: ``category`` indexes the categories, ``rle`` is COCO's mask."""

    coco_id: int
    category: int
    rle: dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """Photos in the order of the file; ``groups`` names the group of a photo by its COCO id."""

    photos: tuple[Photo, ...]
    categories: tuple[str, ...]
    crowds: tuple[Crowd, ...] = ()
    groups: Mapping[int, str] = field(default_factory=dict)

    @property
    def negatives(self) -> tuple[Photo, ...]:
        """Photos that show no garment, not even a crowd of them."""
        crowded = {crowd.coco_id for crowd in self.crowds}
        return tuple(p for p in self.photos if not p.classes and p.coco_id not in crowded)

    @property
    def garments(self) -> int:
        return sum(len(photo.classes) for photo in self.photos)

    def part(self, wanted: Callable[[Photo], bool]) -> Truth:
        """The photos for which ``wanted`` holds, and what belongs to them."""
        photos = tuple(photo for photo in self.photos if wanted(photo))
        ids = {photo.coco_id for photo in photos}
        crowds = tuple(crowd for crowd in self.crowds if crowd.coco_id in ids)
        return replace(self, photos=photos, crowds=crowds)

    def spread(self, count: int) -> Truth:
        """At most ``count`` photos, evenly over the file: files are often sorted by source."""
        if count >= len(self.photos):
            return self
        chosen = {self.photos[k * len(self.photos) // count].coco_id for k in range(count)}
        return self.part(lambda photo: photo.coco_id in chosen)


def read_truth(photos: str | Path, file: str | Path, categories: Sequence[str]) -> Truth:
    """Photos of the COCO file ``file`` that lie in the folder ``photos``, checked.

    Raises `ConfigError` for what `read_coco` refuses, a file that is no COCO or holds no photo,
    ids given twice, and masks that do not decode or are not of their photo's size.
    """
    try:
        data = json.loads(Path(file).read_text(encoding="utf-8"))
        _check_numbers(data)
        found = read_coco(photos, file, categories)
        crowds = _crowds(data, categories)
    except ConfigError:
        raise
    except OSError as error:
        raise ConfigError(f"annotations {file}: cannot be read ({error.strerror})") from None
    except Exception as error:  # strangers' JSON: any type may stand anywhere
        raise ConfigError(
            f"annotations {file}: not COCO ({type(error).__name__}: {error}); "
            "jobs/import_annotations.py names every fault"
        ) from None
    if not found:
        raise ConfigError(f"annotations {file}: no photos; wanted at least one to judge by")
    _check_ids(file, found)
    sizes = {photo.coco_id: (photo.height, photo.width) for photo in found}
    for photo in found:
        for number, rle in zip(photo.annotation_ids, photo.rles, strict=True):
            _check_mask(f"annotations {file}: annotation {number}", rle, sizes[photo.coco_id])
    for crowd in crowds:
        where = f"annotations {file}: a crowd of image {crowd.coco_id}"
        _check_mask(where, crowd.rle, sizes.get(crowd.coco_id))
    return Truth(tuple(found), tuple(categories), tuple(crowds))


def _check_numbers(data: dict[str, Any]) -> None:
    """Raise ValueError before pycocotools is given numbers that would take all memory."""
    limit = ImageLimits().max_pixels
    known = {image["id"] for image in data["images"]}
    for image in data["images"]:
        height, width = int(image["height"]), int(image["width"])
        if min(height, width) < 1 or height * width > limit:
            raise ValueError(f"image {image['id']} is {width}x{height}; wanted 1 to {limit} pixels")
    for annotation in data["annotations"]:
        if annotation["image_id"] not in known:
            raise ValueError(f"annotation {annotation['id']} is of an unknown image")
        polygons = annotation["segmentation"]
        for polygon in polygons if isinstance(polygons, list) else ():
            if any(not math.isfinite(c) or abs(c) > FARTHEST for c in polygon):
                raise ValueError(f"a polygon of annotation {annotation['id']} leaves its photo")


def _crowds(data: dict[str, Any], categories: Sequence[str]) -> list[Crowd]:
    names = {category["id"]: category["name"] for category in data["categories"]}
    sizes = {image["id"]: (image["height"], image["width"]) for image in data["images"]}
    crowds = []
    for annotation in data["annotations"]:
        mask = annotation["segmentation"]
        # An empty list marks nothing, so that there is nothing to leave out.
        if not annotation.get("iscrowd") or not mask:
            continue
        height, width = sizes[annotation["image_id"]]
        if isinstance(mask, list):
            mask = coco_mask.merge(coco_mask.frPyObjects(mask, height, width))
        elif isinstance(mask["counts"], list):
            mask = coco_mask.frPyObjects(mask, height, width)
        category = categories.index(names[annotation["category_id"]])
        crowds.append(Crowd(annotation["image_id"], category, dict(mask)))
    return crowds


def _check_ids(file: str | Path, photos: Sequence[Photo]) -> None:
    for photo in photos:
        if type(photo.coco_id) is not int:
            where = f"annotations {file}: photo {photo.path.name}"
            raise ConfigError(f"{where}: its id is {photo.coco_id!r}; wanted a whole number")
    twice = [k for k, n in Counter(photo.coco_id for photo in photos).items() if n > 1]
    if twice:
        raise ConfigError(f"annotations {file}: image ids {twice[:3]} are given more than once")


def _check_mask(where: str, rle: dict[str, Any], size: tuple[int, int] | None) -> None:
    if size is None or list(rle.get("size", ())) != list(size):
        raise ConfigError(f"{where}: its mask is {rle.get('size')}, its photo {size}")
    try:
        coco_mask.decode(rle)
    except Exception as error:  # pycocotools raises by chance of what the bytes are
        raise ConfigError(f"{where}: its mask does not decode ({error})") from None

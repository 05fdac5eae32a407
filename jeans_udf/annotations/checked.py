"""Annotations that are checked: photos as they are, masks that fit them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jeans_udf.annotations.faults import FaultLog
from jeans_udf.annotations.formats import Listing
from jeans_udf.annotations.listed import ListedGarment, ListedPhoto
from jeans_udf.annotations.photos import PhotoFile, check_size, look_at
from jeans_udf.annotations.shapes import check_box, rasterize
from jeans_udf.config import ImageLimits
from jeans_udf.training.progress import Progress

Key = tuple[str, str, str | None]
"""Folder, photo and split: a photo is listed once in each split."""


@dataclass(frozen=True)
class Garment:
    """A checked annotation: ``rle`` is its mask, ``segmentation`` what a COCO file says of it."""

    listed: ListedGarment
    category: str
    rle: dict[str, Any]
    segmentation: Any


@dataclass(frozen=True)
class CheckedPhoto:
    """A photo that decodes, with its garments; without any it is a negative.

    ``faulty`` ones are kept so that photos in two splits are all found; they are not trained on.
    """

    listed: ListedPhoto
    file: PhotoFile
    folder: Path
    garments: tuple[Garment, ...]
    split: str | None = None
    product_id: str | None = None
    faulty: bool = False

    @property
    def categories(self) -> set[str]:
        """Those of its garments; crowds are nobody's garment."""
        return {g.category for g in self.garments if not g.listed.crowd}


@dataclass
class Checked:
    """All photos that decode, and how much was listed."""

    photos: list[CheckedPhoto] = field(default_factory=list)
    photos_listed: int = 0
    annotations_listed: int = 0
    ignored: int = 0

    @property
    def sound(self) -> list[CheckedPhoto]:
        """The photos to go on with."""
        return [photo for photo in self.photos if not photo.faulty]

    @property
    def left_out(self) -> dict[str, int]:
        """Photos and annotations that had a fault, or went with a photo that had one."""
        sound = self.sound
        kept = sum(len(photo.garments) for photo in sound)
        return {
            "photos": self.photos_listed - len(sound),
            "annotations": self.annotations_listed - kept,
        }


def check_listings(listings: Sequence[Listing], log: FaultLog) -> Checked:
    """Look at every photo and mask; faults go to ``log``, and what has one is left out.

    A photo whose annotations are all faulty is left out as well: as a photo without a garment it
    would teach that there is none. So is each entry of a photo that is listed twice: one of them
    may show what the other lacks.
    """
    checked = Checked()
    seen: dict[Key, list[CheckedPhoto]] = {}
    progress = Progress(sum(len(listing.photos) for listing in listings), "photos", 1)
    for listing in listings:
        checked.photos_listed += listing.unread
        checked.annotations_listed += listing.orphans
        for listed in listing.photos:
            photo = _check_photo(listed, listing, log)
            checked.photos_listed += 1
            checked.annotations_listed += len(listed.garments) + listed.lost
            checked.ignored += listed.ignored
            if photo is not None:
                seen.setdefault(_key(photo), []).append(photo)
            progress.update(checked.photos_listed, "checking photos and masks")
    for entries in seen.values():
        checked.photos += _once(entries, log)
    return checked


def _check_photo(
    listed: ListedPhoto, listing: Listing, log: FaultLog
) -> CheckedPhoto | None:
    source, found = listing.source, len(log.faults)
    file = None
    if listed.name:
        with log.at(listed.place):
            file = look_at(listed.name, source.photos)
    if file is not None:
        with log.at(listed.place):
            check_size(file, listed.height, listed.width)
    is_faulty = listed.faulty or len(log.faults) > found
    size = _size(listed, file)
    garments = [_check_garment(one, *size, log) for one in listed.garments] if size else []
    if file is None:
        return None
    kept = tuple(garment for garment in garments if garment is not None)
    has_lost_all = not kept and bool(listed.garments or listed.lost)
    return CheckedPhoto(listed, file, source.photos, kept, source.split,
                        faulty=is_faulty or has_lost_all)  # fmt: skip


def _key(photo: CheckedPhoto) -> Key:
    return os.path.realpath(photo.folder), photo.file.name, photo.split


def _once(entries: list[CheckedPhoto], log: FaultLog) -> list[CheckedPhoto]:
    """The entries of one photo, all of them faulty if there are several."""
    for other in entries[1:]:
        first = entries[0].listed.place
        log.add("duplicate_photo", other.listed.place, f"is listed before: {first}; join the two")
    return entries if len(entries) == 1 else [replace(one, faulty=True) for one in entries]


def _size(listed: ListedPhoto, file: PhotoFile | None) -> tuple[int, int] | None:
    """Height and width to check masks by: as stated, so that a wrong size is told only once."""
    height, width = listed.height, listed.width
    if file is not None:
        height, width = height or file.height, width or file.width
    if height is None or width is None or height * width > ImageLimits().max_pixels:
        return None
    return height, width


def _check_garment(
    listed: ListedGarment, height: int, width: int, log: FaultLog
) -> Garment | None:
    found, rle = len(log.faults), None
    with log.at(listed.place):
        rle = rasterize(listed.shape, height, width) if listed.shape is not None else None
    # A box around a shape that reaches out would only say the same again.
    is_told = len(log.faults) > found and log.faults[-1].code == "box_outside"
    if listed.box is not None and not is_told:
        with log.at(listed.place):
            check_box(listed.box, height, width)
    if listed.faulty or len(log.faults) > found:
        return None
    assert rle is not None and listed.shape is not None and listed.category is not None
    return Garment(listed, listed.category, rle, listed.shape.segmentation(rle))

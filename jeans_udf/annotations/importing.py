"""An import from the annotation files to photos that are checked and parted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jeans_udf.annotations.checked import Checked, CheckedPhoto, check_listings
from jeans_udf.annotations.faults import FaultLog, Place
from jeans_udf.annotations.formats import Listing, read_source
from jeans_udf.annotations.listed import ListedPhoto, Names, Source
from jeans_udf.annotations.photos import photo_names
from jeans_udf.annotations.products import NoProducts, Products
from jeans_udf.annotations.split import (
    SPLITS,
    Splitting,
    add_products,
    check_given_splits,
    split_photos,
)
from jeans_udf.errors import ConfigError


@dataclass(frozen=True)
class Request:
    """What to import, and how."""

    sources: Sequence[Source]
    names: Names
    format: str | None = None
    """One of `formats.FORMATS`; None: found by itself, for each source."""
    label_attribute: str | None = None
    """VIA's region attribute that holds the category; None: found by itself."""
    products: Products = NoProducts()
    splitting: Splitting = Splitting()
    """Only ``by_product`` counts when the sources have their splits."""
    drop_faulty: bool = False
    """Go on without what has a fault."""
    unlisted_as_negatives: bool = False
    """Take the photos of the folders that no annotation file lists as photos without garment."""


@dataclass
class Imported:
    """Photos with their splits, and where they come from."""

    photos: list[CheckedPhoto]
    checked: Checked
    listings: list[Listing]
    unlisted: int
    """Photos of the folders that no annotation file lists."""

    def of_split(self, split: str) -> list[CheckedPhoto]:
        return [photo for photo in self.photos if photo.split == split]


def import_annotations(request: Request, log: FaultLog) -> Imported | None:
    """Read, check and part; every fault goes to ``log``. None when faults forbid to go on.

    Raises `ConfigError` for files that cannot be read at all, and when nothing is left to train
    or to validate on.
    """
    for source in request.sources:
        if not source.photos.is_dir():
            raise ConfigError(f"--photos {source.photos}: is no folder; give the one with the "
                              "photos that the annotations name")  # fmt: skip
    listings = [
        read_source(source, request.names, log, request.format, request.label_attribute)
        for source in request.sources
    ]
    unlisted = _unlisted(listings)
    taken = [*listings, *unlisted] if request.unlisted_as_negatives else listings
    checked = check_listings(taken, log)
    by_product = request.splitting.by_product
    add_products(checked, request.products, by_product, log)
    if request.sources[0].split is not None:
        check_given_splits(checked, by_product, log)
    if log.faults and not request.drop_faulty:
        return None
    return Imported(
        _parted(checked.sound, request), checked, listings, sum(len(one.photos) for one in unlisted)
    )


def _parted(photos: list[CheckedPhoto], request: Request) -> list[CheckedPhoto]:
    if not any(photo.categories for photo in photos):
        raise ConfigError(f"no annotation is left of {len(photos)} photos without fault; there is "
                          "nothing to train on")  # fmt: skip
    if request.sources[0].split is None:
        photos = split_photos(photos, request.splitting)
    for split in SPLITS:
        if not any(photo.split == split for photo in photos):
            by = "product" if request.splitting.by_product else "photo"
            raise ConfigError(
                f"no photo falls to {split}: {len(photos)} photos, split by {by} (the same bytes "
                "stay together); give more photos, or files of your own to --train and --val"
            )
    return sorted(photos, key=lambda photo: (photo.split, str(photo.folder), photo.file.name))


def _unlisted(listings: Sequence[Listing]) -> list[Listing]:
    """For each photo folder its photos that no file lists; of the first split that uses it."""
    names: dict[Path, set[str]] = {}
    first: dict[Path, Listing] = {}
    for listing in listings:
        folder = listing.source.photos.resolve()
        first.setdefault(folder, listing)
        names.setdefault(folder, set()).update(
            os.path.normpath(photo.name) for photo in listing.photos
        )
    found = []
    for folder, listing in first.items():
        photos = listing.source.photos
        others = [name for name in photo_names(photos) if name not in names[folder]]
        found.append(
            Listing(listing.source, "unlisted", "",
                    [ListedPhoto(Place(str(photos), name), name) for name in others])
        )  # fmt: skip
    return found

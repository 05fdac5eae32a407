"""What can be wrong with annotations: a closed list of codes, and a log of what was found."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jeans_udf.errors import JeansError

FAULTS = {
    "not_json": "a file that is no JSON, is nested too deep or too large",
    "malformed": "an entry that lacks a key or holds something of another type",
    "path_outside": "a photo's path that leads out of the photo folder",
    "photo_missing": "a photo that is not in the photo folder",
    "photo_unreadable": "a photo that the tagging job would reject",
    "photo_size": "a photo of another size than stated",
    "duplicate_photo": "a photo that is listed twice",
    "duplicate_image_id": "an image id that stands for two photos",
    "duplicate_annotation_id": "an annotation id that is used twice",
    "unknown_image": "an annotation of an image that is not listed",
    "unknown_category": "a category that the vocabulary lacks",
    "unsupported_shape": "a shape that outlines no area, or of a type that is not read",
    "too_few_points": "a polygon of less than three points",
    "not_finite": "a coordinate that is NaN, infinite or too large for a number",
    "box_outside": "a box or shape that reaches out of the photo",
    "outline_too_long": "an outline that crosses the photo hundreds of times",
    "mask_size": "a mask of another size than the photo",
    "bad_mask": "run lengths that are broken or do not fill the mask",
    "empty_mask": "an annotation whose mask has no pixel",
    "photo_in_two_splits": "a photo, or the same bytes by another name, in train and val",
    "product_in_two_splits": "a product with photos in train and val",
    "no_product": "a photo whose product is not known, in a split by product",
}
"""Code -> what it means."""

COLUMNS = ("code", "file", "photo", "entry", "detail")
_LONGEST = 160


class Faulty(JeansError):
    """One entry cannot be used; ``code`` is one of `FAULTS`."""

    def __init__(self, code: str, detail: str) -> None:
        assert code in FAULTS, code
        super().__init__(f"{code}: {detail}")
        self.code, self.detail = code, detail


@dataclass(frozen=True)
class Place:
    """Where: annotation file, photo (may be empty), entry such as ``annotation 12``."""

    file: str
    photo: str = ""
    entry: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.photo, self.entry) if part)


@dataclass(frozen=True)
class Fault:
    """One fault and its place."""

    code: str
    place: Place
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code}: {self.detail}"


class FaultLog:
    """All faults of an import, in the order in which they were found."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def add(self, code: str, place: Place, detail: str) -> None:
        assert code in FAULTS, code
        clean = Place(printable(place.file), printable(place.photo), printable(place.entry))
        self.faults.append(Fault(code, clean, printable(detail, 600)))

    @contextmanager
    def at(self, place: Place) -> Iterator[None]:
        """Log a `Faulty` raised within the block, at ``place``, and go on behind the block."""
        try:
            yield
        except Faulty as fault:
            self.add(fault.code, place, fault.detail)

    def counts(self) -> dict[str, int]:
        """Faults by code, those found only, in the order of `FAULTS`."""
        found = Counter(fault.code for fault in self.faults)
        return {code: found[code] for code in FAULTS if found[code]}

    def write(self, path: Path) -> None:
        """One row a fault; a header alone when there is none."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for fault in self.faults:
                place = fault.place
                writer.writerow((fault.code, place.file, place.photo, place.entry, fault.detail))


def printable(text: str, longest: int = _LONGEST * 2) -> str:
    """``text`` shortened, and safe to print: control characters and half surrogates escaped."""
    if len(text) > longest:
        text = text[: longest - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def got(value: Any) -> str:
    """``value`` of a JSON file for a message; lists and objects by their kind alone."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    shown = repr(value)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "..."

"""What can be wrong with a label file: a closed list of codes, and a log of what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jeans_udf.annotations.faults import Place, printable

FAULTS = {
    "bad_row": "a row that cannot be read: no file_path, a broken annotation_id, no UTF-8, …",
    "unknown_label": "a label that the vocabulary lacks; mend the name, or add it there",
    "unknown_category": "a category that the vocabulary lacks; mend the name, or add it there",
    "conflicting_labels": "two labels of a group that takes one, or two categories; keep one",
    "label_not_applicable": "a label of a group that does not apply to the category; clear one",
    "duplicate_row": "a photo or annotation that has a row before, or rows that differ; keep one",
    "missing_photo": "a photo that is not in the photo folder; is the folder right?",
    "photo_in_both_splits": "a photo of validation that is trained on, too; keep it in one file",
}
"""Code -> what it means and what to do."""


@dataclass(frozen=True)
class Fault:
    """One fault: ``row`` is the line of a CSV file or the row of a Parquet file, from 1."""

    code: str
    place: Place
    row: int
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code}: {self.detail}"


class FaultLog:
    """The faults of one file in the order in which they were found; ``unit`` is line or row."""

    def __init__(self, file: str | Path, unit: str) -> None:
        self.file, self.unit = printable(str(file)), unit
        self.faults: list[Fault] = []

    def add(self, code: str, row: int, photo: str, detail: str) -> None:
        assert code in FAULTS, code
        place = Place(self.file, printable(photo, 200), f"{self.unit} {row}")
        self.faults.append(Fault(code, place, row, printable(detail, 600)))


def counts(faults: Iterable[Fault]) -> dict[str, int]:
    """Faults by code, those found only, in the order of `FAULTS`."""
    found = Counter(fault.code for fault in faults)
    return {code: found[code] for code in FAULTS if found[code]}


def summary(faults: Iterable[Fault]) -> str:
    """A line for each code found: how often, and what it means."""
    return "\n".join(f"{n:>7} {code}: {FAULTS[code]}" for code, n in counts(faults).items())

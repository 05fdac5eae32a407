"""Whether two rows found the same garments."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.side_by_side.outcome import Outputs

EXAMPLES = 5
"""Differing images that are told."""


@dataclass(frozen=True)
class Difference:
    """How a row's garments differ from those of the row it is compared with."""

    images: int
    """Images that either of them has."""
    missing: int
    """Images that only one of them has."""
    other_count: int
    """Images with another number of garments."""
    other_categories: int
    """Images with as many, but of other categories."""
    other_labels: int
    """Images with garments of the same categories, but with other attribute labels."""
    examples: tuple[str, ...]

    @property
    def differing(self) -> int:
        return self.missing + self.other_count + self.other_categories + self.other_labels

    def __str__(self) -> str:
        if not self.differing:
            return "equal"
        kinds = {"in one only": self.missing, "other count": self.other_count,
                 "other category": self.other_categories, "other labels": self.other_labels}
        told = ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count)
        return f"{self.differing} of {self.images} images differ: {told}"


def compare(outputs: Outputs, reference: Outputs) -> Difference:
    """Garments by image, whatever their order: their count, then categories, then labels."""
    counts = {"missing": 0, "other_count": 0, "other_categories": 0, "other_labels": 0}
    examples = []
    keys = sorted(set(outputs) | set(reference))
    for key in keys:
        kind = _kind(outputs.get(key), reference.get(key))
        if kind is not None:
            counts[kind] += 1
            examples.append(f"{key}: got {_told(outputs.get(key))}, "
                            f"wanted {_told(reference.get(key))}")  # fmt: skip
    return Difference(len(keys), **counts, examples=tuple(examples[:EXAMPLES]))


def _kind(got: list[list[str]] | None, wanted: list[list[str]] | None) -> str | None:
    if got is None or wanted is None:
        return "missing"
    if len(got) != len(wanted):
        return "other_count"
    if sorted(one[0] for one in got) != sorted(one[0] for one in wanted):
        return "other_categories"
    return None if sorted(got) == sorted(wanted) else "other_labels"


def _told(garments: list[list[str]] | None) -> str:
    if garments is None:
        return "no row"
    return "; ".join(" ".join(one) for one in sorted(garments)) or "no garment"

"""Which photos to look at: the best, the worst, and each kind of error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pycocotools import mask as coco_mask

from jeans_udf.evaluation.matching import Matches
from jeans_udf.evaluation.truth import Truth

MOST = 8
"""Examples of each kind."""


@dataclass(frozen=True)
class Example:
    """A photo to show; ``detection`` and ``garment`` index what it is shown for, if one thing."""

    found: Matches
    text: str
    detection: int | None = None
    garment: int | None = None


@dataclass(frozen=True)
class Shelf:
    """Examples of one kind, the clearest first; ``total`` counts those that were not chosen too."""

    key: str
    title: str
    lead: str
    total: int
    examples: tuple[Example, ...]


def fill_shelves(matches: Sequence[Matches], truth: Truth) -> list[Shelf]:
    """Up to `MOST` examples of each kind; ``matches`` disregard the category.

    Detections should be those above the thresholds, so that an error is one that users see.
    """
    with_garments = [found for found in matches if found.photo.classes]
    ranked = sorted(with_garments, key=lambda found: (-agreement(found), found.photo.coco_id))
    worst = [found for found in reversed(ranked) if agreement(found) < 1]
    negatives = {photo.coco_id for photo in truth.negatives}
    alone = [found for found in matches if found.photo.coco_id in negatives]
    beside = [found for found in matches if found.photo.coco_id not in negatives]
    return [
        _shelf("best", "Best", "Photos on which truth and detections agree most.",
               [Example(found, _agreement_text(found)) for found in ranked]),
        _shelf("worst", "Worst", "Photos on which they agree least.",
               [Example(found, _agreement_text(found)) for found in worst]),
        _shelf("negatives", "Garments where there are none",
               "Detections on photos without garments, the surest first.", _backgrounds(alone)),
        _shelf("background", "Garments beside the garments",
               "Detections on photos with garments that show none of them, the surest first, with "
               "the greatest overlap with a garment. Some may be right: look for garments that the "
               "annotations lack.", _backgrounds(beside)),
        _shelf("missed", "Missed", "Garments that nothing was detected on, the largest first.",
               _misses(matches, truth.categories)),
        _shelf("category", "Wrong category", "Found, but named otherwise, the surest first.",
               _mistaken(matches, truth.categories)),
    ]  # fmt: skip


def agreement(found: Matches) -> float:
    """0 to 1: overlaps of rightly named detections, over all that was there or was detected."""
    right = [found.right(index) for index in range(len(found.rows))]
    overlap = sum(float(iou) for iou, good in zip(found.ious, right, strict=True) if good)
    everything = len(found.photo.classes) + sum(
        1 for good, on_crowd in zip(right, found.ignored, strict=True) if not (good or on_crowd)
    )
    return overlap / everything if everything else 1.0


def _agreement_text(found: Matches) -> str:
    return f"agreement {agreement(found):.2f}"


def _backgrounds(matches: Iterable[Matches]) -> list[Example]:
    examples = []
    for found in matches:
        for index, row in enumerate(found.rows):
            if found.garments[index] < 0 and not found.ignored[index]:
                overlap = float(found.ious[index])
                near = f", overlap {overlap:.2f}" if overlap > 0.05 else ""
                examples.append(Example(found, f"score {row['score']:.2f}{near}", index))
    return sorted(examples, key=_score, reverse=True)


def _misses(matches: Iterable[Matches], categories: Sequence[str]) -> list[Example]:
    examples = []
    for found in matches:
        photo = found.photo
        for garment in found.missed:
            share = float(coco_mask.area(photo.rles[garment])) / (photo.height * photo.width)
            name = categories[photo.classes[garment]].replace("_", " ")
            examples.append((share, Example(found, f"{name}, {share:.0%} of the photo",
                                            garment=garment)))  # fmt: skip
    examples.sort(key=lambda each: -each[0])
    return [example for _, example in examples]


def _mistaken(matches: Iterable[Matches], categories: Sequence[str]) -> list[Example]:
    examples = []
    for found in matches:
        for index, row in enumerate(found.rows):
            garment = int(found.garments[index])
            if garment >= 0 and not found.right(index):
                said = categories[row["category_id"] - 1].replace("_", " ")
                name = categories[found.photo.classes[garment]].replace("_", " ")
                text = f"{name} taken for {said}, {row['score']:.2f}"
                examples.append(Example(found, text, index, garment))
    return sorted(examples, key=_score, reverse=True)


def _score(example: Example) -> float:
    assert example.detection is not None
    return float(example.found.rows[example.detection]["score"])


def _shelf(key: str, title: str, lead: str, examples: Sequence[Example]) -> Shelf:
    return Shelf(key, title, lead, len(examples), tuple(examples[:MOST]))

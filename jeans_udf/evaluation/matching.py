"""Which detection shows which garment: greedy by score, as COCO does it, at one overlap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from jeans_udf.evaluation.detection import Rows
from jeans_udf.evaluation.truth import Truth
from jeans_udf.training.coco import Photo

MATCH_IOU = 0.5
"""Least overlap (intersection over union) of a detection with the garment that it shows."""


@dataclass(frozen=True)
class Matches:
    """Detections of one photo, best score first, and the garments that they show.

    ``rows`` are the D detections as COCO result rows. ``garments (D,) int64`` index the photo's
    garments, -1 for none; ``ious (D,) float64`` are the overlaps with these, or the greatest with
    any garment; ``ignored (D,) bool``: shows no garment but lies on a crowd.
    """

    photo: Photo
    rows: tuple[dict[str, Any], ...]
    garments: np.ndarray
    ious: np.ndarray
    ignored: np.ndarray

    @property
    def missed(self) -> list[int]:
        """Garments that no detection shows."""
        return sorted(set(range(len(self.photo.classes))) - set(self.garments.tolist()))

    def right(self, index: int) -> bool:
        """Whether detection ``index`` shows a garment of the category that it says."""
        garment = int(self.garments[index])
        category = self.rows[index]["category_id"] - 1
        return garment >= 0 and self.photo.classes[garment] == category


def above(results: Rows, thresholds: Mapping[int, float]) -> list[dict[str, Any]]:
    """The rows whose score reaches their category's threshold (by category id, from 1)."""
    return [row for row in results if row["score"] >= thresholds[row["category_id"]]]


def match(truth: Truth, results: Rows, kind: str, *, same_category: bool) -> list[Matches]:
    """Match each photo's detections with its garments, in the order of the photos.

    The best-scoring detection takes the free garment that it overlaps most, if by `MATCH_IOU`.
    With ``same_category`` only garments of the detection's category count, as for COCO's figures.
    ``kind`` (``bbox`` or ``segm``) says whether boxes or masks overlap.
    """
    of_photo: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in results:
        of_photo[row["image_id"]].append(row)
    crowds: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for crowd in truth.crowds:
        crowds[crowd.coco_id].append({"rle": crowd.rle, "category_id": crowd.category + 1})
    return [
        _match_photo(photo, of_photo[photo.coco_id], crowds[photo.coco_id], kind, same_category)
        for photo in truth.photos
    ]


def _match_photo(
    photo: Photo,
    rows: Sequence[dict[str, Any]],
    crowds: Sequence[dict[str, Any]],
    kind: str,
    same_category: bool,
) -> Matches:
    rows = sorted(rows, key=lambda row: -row["score"])
    classes = np.array([row["category_id"] - 1 for row in rows], dtype=np.int64)
    ious = overlaps(rows, photo.rles, kind)
    on_crowd = overlaps(rows, [crowd["rle"] for crowd in crowds], kind, crowd=True)
    if same_category:
        ious = ious * (classes[:, None] == np.array(photo.classes, dtype=np.int64)[None])
        of_crowd = np.array([crowd["category_id"] - 1 for crowd in crowds], dtype=np.int64)
        on_crowd = on_crowd * (classes[:, None] == of_crowd[None])
    garments, best = np.full(len(rows), -1, dtype=np.int64), ious.max(axis=1, initial=0.0)
    free = np.ones(len(photo.rles), dtype=bool)
    for index in range(len(rows)):
        candidates = np.where(free, ious[index], 0.0)
        if candidates.max(initial=0.0) >= MATCH_IOU:
            garment = int(candidates.argmax())
            garments[index], best[index], free[garment] = garment, candidates[garment], False
    ignored = (garments < 0) & (on_crowd.max(axis=1, initial=0.0) >= MATCH_IOU)
    return Matches(photo, tuple(rows), garments, best, ignored)


def overlaps(
    rows: Rows, rles: Sequence[dict[str, Any]], kind: str, *, crowd: bool = False
) -> np.ndarray:
    """(rows, masks) float64: intersection over union, with a crowd over the detection's area."""
    if not rows or not rles:
        return np.zeros((len(rows), len(rles)))
    if kind == "segm":
        found, wanted = [row["segmentation"] for row in rows], list(rles)
    else:
        found = [row["bbox"] for row in rows]
        wanted = [coco_mask.toBbox(rle).tolist() for rle in rles]
    return np.asarray(coco_mask.iou(found, wanted, [int(crowd)] * len(rles)), dtype=np.float64)

"""COCO figures of detections, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from jeans_udf.evaluation.truth import Crowd
from jeans_udf.training.coco import Photo

Rows = Sequence[dict[str, Any]]
"""COCO result rows: image_id, category_id (from 1), score, bbox (XYWH), segmentation (RLE)."""
MOST_DETECTIONS = (1, 10, 100)
"""Detections of an image that count, best first: COCO's own three limits."""
ALL = slice(None)
FIGURES: dict[str, tuple[str, Any, int, int]] = {
    "AP": ("precision", ALL, 0, 2),
    "AP50": ("precision", 0, 0, 2),
    "AP75": ("precision", 5, 0, 2),
    "AP_small": ("precision", ALL, 1, 2),
    "AP_medium": ("precision", ALL, 2, 2),
    "AP_large": ("precision", ALL, 3, 2),
    "AR@1": ("recall", ALL, 0, 0),
    "AR@10": ("recall", ALL, 0, 1),
    "AR@100": ("recall", ALL, 0, 2),
    "AR_small": ("recall", ALL, 1, 2),
    "AR_medium": ("recall", ALL, 2, 2),
    "AR_large": ("recall", ALL, 3, 2),
}
"""COCO's twelve, in its order: the array, which IoU thresholds, which area, which limit."""


def coco_truth(
    photos: Sequence[Photo], categories: Sequence[str], crowds: Sequence[Crowd] = ()
) -> dict[str, Any]:
    """The photos' annotations as a COCO dataset; category and annotation ids count from 1."""
    marked = [
        (photo.coco_id, category, rle, 0)
        for photo in photos
        for category, rle in zip(photo.classes, photo.rles, strict=True)
    ]
    marked += [(crowd.coco_id, crowd.category, crowd.rle, 1) for crowd in crowds]
    annotations = [
        {
            "id": number,
            "image_id": image,
            "category_id": category + 1,
            "segmentation": _text(rle),
            "area": float(coco_mask.area(rle)),
            "bbox": coco_mask.toBbox(rle).tolist(),
            "iscrowd": crowd,
        }
        # pycocotools takes id 0 for "no match".
        for number, (image, category, rle, crowd) in enumerate(marked, start=1)
    ]
    return {
        "images": [{"id": p.coco_id, "height": p.height, "width": p.width} for p in photos],
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(categories)],
    }


def run_coco(
    truth: dict[str, Any],
    results: Rows,
    kind: str,
    *,
    by_category: bool = True,
    most: Sequence[int] = MOST_DETECTIONS,
) -> dict[str, np.ndarray]:
    """COCO's arrays: ``precision``, ``scores`` (10, 101, K, 4, M) and ``recall`` (10, K, 4, M).

    Axes: IoU 0.5 ... 0.95, recall 0 ... 1, categories (K is 1 unless ``by_category``), areas
    (all, small, medium, large), limits ``most``. -1 where there is no truth. ``kind`` is
    ``bbox`` or ``segm``.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_indexed(truth, truth["annotations"]), None, kind)
        evaluation.cocoDt = _indexed(truth, _detections(results, kind))
        evaluation.params.useCats = int(by_category)
        evaluation.params.maxDets = list(most)
        evaluation.evaluate()
        evaluation.accumulate()
    return {name: evaluation.eval[name] for name in ("precision", "recall", "scores")}


def coco_figures(arrays: dict[str, np.ndarray], categories: Sequence[str] = ()) -> dict[str, float]:
    """`FIGURES` of `run_coco`'s arrays, 0 to 1, and each by category (``AP/jeans``).

    NaN where there is no truth. ``categories`` are those of the arrays, in order.
    """
    figures = {name: _figure(arrays, name, ALL) for name in FIGURES}
    for index, category in enumerate(categories):
        figures |= {f"{name}/{category}": _figure(arrays, name, index) for name in FIGURES}
    return figures


def average_precision(truth: dict[str, Any], results: Rows, kind: str) -> dict[str, float]:
    """``AP``, ``AP50`` and each by category (``AP/jeans``), 0 to 1; NaN where there is no truth.

    ``results`` are COCO result rows; ``kind`` is ``bbox`` or ``segm``.
    """
    names = [category["name"] for category in truth["categories"]]
    figures = coco_figures(run_coco(truth, results, kind), names)
    return {key: value for key, value in figures.items() if key.split("/")[0] in ("AP", "AP50")}


def tagged_negatives(photos: Sequence[Photo], results: Rows, threshold: float) -> float:
    """Share of the photos without any garment that get one at ``threshold``."""
    negatives = {photo.coco_id for photo in photos if photo.is_negative}
    tagged = {row["image_id"] for row in results if row["score"] >= threshold}
    return len(negatives & tagged) / max(1, len(negatives))


def _indexed(truth: dict[str, Any], annotations: Rows) -> COCO:
    """A dataset of copies: COCO writes into annotations while it evaluates."""
    dataset = COCO()
    dataset.dataset = truth | {"annotations": [dict(annotation) for annotation in annotations]}
    dataset.createIndex()
    return dataset


def _detections(results: Rows, kind: str) -> list[dict[str, Any]]:
    """Results as COCO's own loader makes them, which refuses an empty list.

    A mask's area is its pixels, not its box's, so that small, medium and large mean the same for
    truth and detections.
    """
    rows = []
    for number, row in enumerate(results, start=1):
        area = coco_mask.area(row["segmentation"]) if kind == "segm" else np.prod(row["bbox"][2:])
        rows.append(row | {"id": number, "area": float(area), "iscrowd": 0})
    return rows


def _figure(arrays: dict[str, np.ndarray], name: str, category: Any) -> float:
    array, iou, area, most = FIGURES[name]
    values = arrays[array][iou][..., category, area, most]
    valid = values[values > -1]
    return float(valid.mean()) if valid.size else float("nan")


def _text(rle: dict[str, Any]) -> dict[str, Any]:
    counts = rle["counts"]
    return {"size": rle["size"], "counts": counts.decode() if isinstance(counts, bytes) else counts}

"""COCO average precision of detections, by pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from jeans_udf.training.coco import Photo


def coco_truth(photos: Sequence[Photo], categories: Sequence[str]) -> dict[str, Any]:
    """The photos' annotations as a COCO dataset; category ids count from 1."""
    annotations = []
    for photo in photos:
        for number, classes, rle in zip(
            photo.annotation_ids, photo.classes, photo.rles, strict=True
        ):
            annotations.append(
                {
                    # pycocotools takes id 0 for "no match".
                    "id": number + 1,
                    "image_id": photo.coco_id,
                    "category_id": classes + 1,
                    "segmentation": _text(rle),
                    "area": float(coco_mask.area(rle)),
                    "bbox": coco_mask.toBbox(rle).tolist(),
                    "iscrowd": 0,
                }
            )
    return {
        "images": [{"id": p.coco_id, "height": p.height, "width": p.width} for p in photos],
        "annotations": annotations,
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(categories)],
    }


def average_precision(
    truth: dict[str, Any], results: list[dict[str, Any]], kind: str
) -> dict[str, float]:
    """``AP``, ``AP50`` and each by category (``AP/jeans``), 0 to 1; NaN where there is no truth.

    ``results`` are COCO result rows; ``kind`` is ``bbox`` or ``segm``.
    """
    categories = [(c["id"], c["name"]) for c in truth["categories"]]
    if not results:
        return {key: 0.0 for key in ("AP", "AP50", *(f"AP50/{n}" for _, n in categories))}
    with contextlib.redirect_stdout(io.StringIO()):
        gold = COCO()
        gold.dataset = truth
        gold.createIndex()
        evaluation = COCOeval(gold, gold.loadRes([dict(row) for row in results]), kind)
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU thresholds, recalls, categories, areas, most detections)
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    figures = {"AP": _mean(precision), "AP50": _mean(precision[0])}
    for index, (_, name) in enumerate(categories):
        figures[f"AP/{name}"] = _mean(precision[:, :, index])
        figures[f"AP50/{name}"] = _mean(precision[0, :, index])
    return figures


def tagged_negatives(
    photos: Sequence[Photo], results: list[dict[str, Any]], threshold: float
) -> float:
    """Share of the photos without any garment that get one at ``threshold``."""
    negatives = {photo.coco_id for photo in photos if not photo.classes}
    tagged = {row["image_id"] for row in results if row["score"] >= threshold}
    return len(negatives & tagged) / max(1, len(negatives))


def _mean(precision: np.ndarray) -> float:
    valid = precision[precision > -1]
    return float(valid.mean()) if valid.size else float("nan")


def _text(rle: dict[str, Any]) -> dict[str, Any]:
    counts = rle["counts"]
    return {"size": rle["size"], "counts": counts.decode() if isinstance(counts, bytes) else counts}

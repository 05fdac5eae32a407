"""Score thresholds by category, fitted on validation photos.

Two wishes. A garment of a category should be kept from the score on at which F1 is best, or as
good as best: a lower one of two equal thresholds finds more. And of the photos without garments at
most a given share may get one; where more do, thresholds are raised, each time in the category
where that costs the fewest garments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from jeans_udf.geometry import box_iou
from jeans_udf.training.coco import Photo

LEAST, MOST = 0.05, 0.95
AS_GOOD = 0.01
"""F1 that is given up for a lower threshold."""
MATCH_IOU = 0.5


def fit_thresholds(
    photos: Sequence[Photo],
    results: Sequence[dict[str, Any]],
    categories: Sequence[str],
    most_tagged: float,
) -> dict[str, float]:
    """A threshold for each of ``categories``, 0.05 to 0.95, on the grid of hundredths.

    ``results`` are COCO result rows (category ids from 1) of all detections above 0.05;
    ``most_tagged`` is the share of photos without garments that may get one.
    """
    right = _right(photos, results)
    scores = np.array([row["score"] for row in results])
    classes = np.array([row["category_id"] - 1 for row in results], dtype=int)
    supports = [sum(photo.classes.count(k) for photo in photos) for k in range(len(categories))]
    thresholds = np.array([
        _best(scores[classes == k], right[classes == k], supports[k])
        for k in range(len(categories))
    ])  # fmt: skip
    negatives = {photo.coco_id for photo in photos if not photo.classes}
    on_negative = np.array([row["image_id"] in negatives for row in results], dtype=bool)
    images = np.array([row["image_id"] for row in results])
    allowed = int(most_tagged * len(negatives))
    while True:
        kept = on_negative & (scores >= thresholds[classes])
        if len(set(images[kept].tolist())) <= allowed:
            break
        thresholds = _raise_cheapest(thresholds, scores, classes, right, kept)
    return dict(zip(categories, thresholds.round(2).tolist(), strict=True))


def _right(photos: Sequence[Photo], results: Sequence[dict[str, Any]]) -> np.ndarray:
    """(N,) bool: the row shows a garment of its category that no better row shows."""
    garments = {
        photo.coco_id: [(k, coco_mask.toBbox(rle)) for k, rle in
                        zip(photo.classes, photo.rles, strict=True)]
        for photo in photos
    }  # fmt: skip
    taken: set[tuple[int, int]] = set()
    right = np.zeros(len(results), dtype=bool)
    for index in np.argsort([-row["score"] for row in results], kind="stable"):
        row = results[index]
        for number, (category, box) in enumerate(garments[row["image_id"]]):
            key = (row["image_id"], number)
            if category != row["category_id"] - 1 or key in taken:
                continue
            if box_iou(_corners(row["bbox"]), _corners(box))[0, 0] >= MATCH_IOU:
                right[index] = True
                taken.add(key)
                break
    return right


def _best(scores: np.ndarray, right: np.ndarray, support: int) -> float:
    """The least threshold whose F1 is within `AS_GOOD` of the best; 0.5 without support."""
    if not support or not len(scores):
        return 0.5
    grid = np.arange(LEAST, MOST + 0.005, 0.01).round(2)
    f1 = np.array([
        2 * (right & (scores >= t)).sum() / (support + (scores >= t).sum()) for t in grid
    ])  # fmt: skip
    return float(grid[int(np.argmax(f1 >= f1.max() - AS_GOOD))])


def _raise_cheapest(
    thresholds: np.ndarray,
    scores: np.ndarray,
    classes: np.ndarray,
    right: np.ndarray,
    wrong: np.ndarray,
) -> np.ndarray:
    """Thresholds with one raised: just above its category's lowest ``wrong`` score.

    The one that loses the fewest right detections; of equals, the one that rises least.
    """
    costs = []
    for k in set(classes[wrong].tolist()):
        mine = classes == k
        raised = np.floor(scores[wrong & mine].min() * 100 + 1) / 100
        lost = (right & mine & (scores >= thresholds[k]) & (scores < raised)).sum()
        costs.append((int(lost), raised - thresholds[k], k, raised))
    _, _, category, raised = min(costs)
    changed = thresholds.copy()
    changed[category] = raised
    return changed


def _corners(box: Sequence[float] | np.ndarray) -> np.ndarray:
    """COCO's XYWH as (1, 4) XYXY."""
    x, y, width, height = (float(v) for v in box)
    return np.array([[x, y, x + width, y + height]])

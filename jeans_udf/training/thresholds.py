"""Score thresholds by category, fitted on validation photos.

Two wishes. A garment of a category should be kept from the score on at which F1 is best, or as
good as best: a lower one of two equal thresholds finds more. And of the photos without garments at
most a given share may get one; where more do, thresholds are raised, each time in the category
where that costs the smallest share of its garments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.matching import match
from jeans_udf.evaluation.truth import Truth
from jeans_udf.training.coco import Photo

LEAST, MOST = 0.1, 0.95
TRUSTED = 20
"""Garments of a category from which on its own threshold counts alone; the best one of four is
chance, so that it is drawn towards the one that is best for all categories together."""
AS_GOOD = 0.01
"""F1 that is given up for a lower threshold."""


def fit_thresholds(
    photos: Sequence[Photo],
    results: Sequence[dict[str, Any]],
    categories: Sequence[str],
    most_tagged: float,
    trusted: int = TRUSTED,
) -> dict[str, float]:
    """A threshold for each of ``categories``, on the grid of hundredths, at least 0.1.

    Above 1 where a category would do more harm than good. Raises `ConfigError` for a share that is
    none.

    ``results`` are COCO result rows (category ids from 1) of all detections above 0.05;
    ``most_tagged`` is the share of photos without garments that may get one.
    """
    if not 0 <= most_tagged <= 1:
        raise ConfigError(f"--max-tagged-negatives: got {most_tagged}, wanted a share, 0 to 1")
    matches = match(Truth(tuple(photos), tuple(categories)), results, "bbox", same_category=True)
    rows = [row for found in matches for row in found.rows]
    right = np.array([found.right(k) for found in matches for k in range(len(found.rows))], bool)
    scores = np.array([row["score"] for row in rows])
    classes = np.array([row["category_id"] - 1 for row in rows], dtype=int)
    supports = [sum(photo.classes.count(k) for photo in photos) for k in range(len(categories))]
    common = _best(scores, right, sum(supports), 0.5)
    own = np.array([
        _best(scores[classes == k], right[classes == k], supports[k], common)
        for k in range(len(categories))
    ])  # fmt: skip
    trust = np.minimum(1, np.array(supports) / trusted)
    thresholds = (trust * own + (1 - trust) * common).round(2)
    negatives = {photo.coco_id for photo in photos if photo.is_negative}
    on_negative = np.array([row["image_id"] in negatives for row in rows], dtype=bool)
    images = np.array([row["image_id"] for row in rows])
    allowed = int(most_tagged * len(negatives))
    while True:
        kept = on_negative & (scores >= thresholds[classes])
        if len(set(images[kept].tolist())) <= allowed:
            break
        thresholds = _raise_cheapest(thresholds, scores, classes, right, kept, supports)
    return dict(zip(categories, thresholds.round(2).tolist(), strict=True))


def _best(scores: np.ndarray, right: np.ndarray, support: int, otherwise: float) -> float:
    """The least threshold whose F1 is within `AS_GOOD` of the best, or ``otherwise`` for none."""
    if not support or not right.any():
        return otherwise
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
    supports: Sequence[int],
) -> np.ndarray:
    """Thresholds with one raised: just above its category's lowest ``wrong`` score.

    The one that loses the smallest share of its category's garments (a rare category would else be
    given up for a frequent one); of equals, the one that rises least.
    """
    costs = []
    for k in set(classes[wrong].tolist()):
        mine = classes == k
        # Rounding must not leave it where it was.
        raised = max(np.floor(scores[wrong & mine].min() * 100 + 1) / 100, thresholds[k] + 0.01)
        lost = (right & mine & (scores >= thresholds[k]) & (scores < raised)).sum()
        costs.append((int(lost) / max(1, supports[k]), raised - thresholds[k], k, raised))
    _, _, category, raised = min(costs)
    changed = thresholds.copy()
    changed[category] = raised
    return changed

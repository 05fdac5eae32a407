"""What a score threshold keeps: precision and recall, and photos without garments that get one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jeans_udf.evaluation.confusion import rates
from jeans_udf.evaluation.curves import best_f1
from jeans_udf.evaluation.matching import Matches

SWEEP = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""0.05 ... 0.95."""


@dataclass(frozen=True)
class Step:
    """Figures at one threshold for all categories, of garments of the right category."""

    threshold: float
    precision: float
    recall: float
    f1: float
    tagged_negatives: float
    """Share of the photos without garments that get one; NaN when there are none."""


def sweep(
    scores: np.ndarray, right: np.ndarray, support: int, negatives: Sequence[float]
) -> list[Step]:
    """Steps of `SWEEP`; ``scores (N,)`` and ``right (N,) bool`` are `judged_scores`.

    ``negatives`` holds the best score on each photo without garments, 0 for none.
    """
    best = np.asarray(negatives, dtype=np.float64)
    steps = []
    for threshold in SWEEP:
        kept = scores >= threshold
        figures = rates(int((right & kept).sum()), int(kept.sum()), support)
        tagged = float((best >= threshold).mean()) if best.size else float("nan")
        steps.append(
            Step(threshold, figures["precision"], figures["recall"], figures["f1"], tagged)
        )
    return steps


def best_scores(matches: Sequence[Matches], photos: Sequence[int]) -> list[float]:
    """The best score of each of the ``photos`` (COCO ids), 0 where nothing is detected."""
    wanted = set(photos)
    return [
        max((row["score"] for row in found.rows), default=0.0)
        for found in matches
        if found.photo.coco_id in wanted
    ]


def best_thresholds(
    scores: np.ndarray,
    right: np.ndarray,
    of_category: np.ndarray,
    supports: Sequence[int],
    categories: Sequence[str],
) -> dict[str, dict[str, float]]:
    """For each category the threshold of best F1 on these photos, and that F1."""
    chosen = {}
    for k, name in enumerate(categories):
        mine = of_category == k
        threshold, f1 = best_f1(scores[mine], right[mine], supports[k])
        chosen[name] = {"threshold": threshold, "f1": f1}
    return chosen

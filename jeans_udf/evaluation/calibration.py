"""Whether a score means what it says: of detections with a score of 0.8, are 80 % right?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jeans_udf.evaluation.matching import Matches

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Detections with a score of ``low`` to below ``high`` (the last bin holds 1 too).

    ``score`` is their mean score, ``right`` the share that is right; both NaN when it is empty.
    """

    low: float
    high: float
    count: int
    score: float
    right: float


def judged_scores(matches: Sequence[Matches]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``scores (N,) float64``, ``right (N,) bool``, ``categories (N,) int64`` of all detections.

    ``matches`` are those of equal categories; what lies on a crowd is left out.
    """
    judged = [
        (row["score"], bool(found.garments[index] >= 0), row["category_id"] - 1)
        for found in matches
        for index, row in enumerate(found.rows)
        if not found.ignored[index]
    ]
    scores, right, categories = zip(*judged, strict=True) if judged else ((), (), ())
    return (
        np.array(scores, dtype=np.float64),
        np.array(right, dtype=bool),
        np.array(categories, dtype=np.int64),
    )


def reliability(scores: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[Bin]:
    """``scores (N,)`` of 0 to 1 and ``right (N,) bool`` in ``bins`` of equal width."""
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    return [
        Bin(
            low=k / bins,
            high=(k + 1) / bins,
            count=int((place == k).sum()),
            score=_mean(scores[place == k]),
            right=_mean(right[place == k]),
        )
        for k in range(bins)
    ]


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error, 0 to 1: the bins' gaps, weighted by their counts.

    After Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", 2015. NaN without detections.
    """
    total = sum(each.count for each in bins)
    if not total:
        return float("nan")
    return sum(each.count * abs(each.right - each.score) for each in bins if each.count) / total


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")

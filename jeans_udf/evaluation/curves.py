"""Precision against recall, and the threshold of best F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

IOUS = {0.5: 0, 0.75: 5}
"""Overlaps of which curves are drawn, by their index among COCO's thresholds."""


@dataclass(frozen=True)
class Curve:
    """``precision`` and ``scores (P,) float64`` at the recalls (P,) that are reached, in order.

    ``precision`` is COCO's: the best at that recall or any greater one. ``scores`` is the score
    down to which detections must be taken to reach the recall.
    """

    category: str
    iou: float
    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray


def precision_recall(arrays: dict[str, np.ndarray], categories: Sequence[str]) -> list[Curve]:
    """Curves of `run_coco`'s arrays, all areas, for each of `IOUS` and each category with truth."""
    curves = []
    for iou, index in IOUS.items():
        for k, category in enumerate(categories):
            precision = arrays["precision"][index, :, k, 0, -1]
            scores = arrays["scores"][index, :, k, 0, -1]
            if (precision < 0).all():
                continue
            # COCO fills what is never reached with zeros.
            reached = int((precision > 0).sum())
            recall = np.linspace(0, 1, len(precision))[:reached]
            curves.append(Curve(category, iou, recall, precision[:reached], scores[:reached]))
    return curves


def best_f1(scores: np.ndarray, right: np.ndarray, support: int) -> tuple[float, float]:
    """(threshold, F1): the greatest F1 that a threshold on ``scores (N,)`` gives.

    ``right (N,) bool`` tells which detections show one of the ``support`` garments. Equal scores
    stay together. (NaN, NaN) without detections or without support.
    """
    if not len(scores) or not support:
        return float("nan"), float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(right[order])
    f1 = 2 * hits / (np.arange(1, len(ranked) + 1) + support)
    last_of_equals = np.append(ranked[1:] != ranked[:-1], True)
    best = int(np.argmax(np.where(last_of_equals, f1, -1.0)))
    return float(ranked[best]), float(f1[best])

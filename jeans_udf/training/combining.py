"""Fitting how detector and classifier decide together, on validation photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from jeans_udf.bundle import CombinationSpec
from jeans_udf.evaluation.matching import match
from jeans_udf.evaluation.truth import Truth
from jeans_udf.models.combination import Combination
from jeans_udf.tagger import Tagger
from jeans_udf.training.coco import Photo

LEAST_SCORE = 0.05
"""Detections below it are not shown to the classifier: that would cost more time than it finds."""
START = (1.0, 1.0, 0.0)


@dataclass(frozen=True)
class Opinions:
    """What both models say of N detections, and what is true.

    ``class_scores (N, C)``, ``verdicts (N, 1 + C)``, ``truth (N,) int64``: 0 none, else the
    category's index and one.
    """

    class_scores: np.ndarray
    verdicts: np.ndarray
    truth: np.ndarray

    def __len__(self) -> int:
        return len(self.truth)


def fit_combination(opinions: Opinions) -> CombinationSpec:
    """The weights with the least negative log-likelihood; both as they are without any garment."""
    weights: Sequence[float] = START
    if len(opinions) and opinions.truth.any():

        def loss(values: np.ndarray) -> float:
            return _loss(Combination(*values), opinions)

        # Three smooth numbers; the weights must not be negative.
        found = minimize(loss, START, bounds=[(0, 4), (0, 4), (-6, 6)], method="L-BFGS-B")
        weights = found.x.tolist()
    detector, classifier, none_bias = (round(float(value), 4) for value in weights)
    return CombinationSpec(
        detector=detector, classifier=classifier, none_bias=none_bias, least_score=LEAST_SCORE
    )


def hear_opinions(tagger: Tagger, photos: Sequence[Photo]) -> Opinions:
    """Both models on every detection of ``photos`` from `LEAST_SCORE` on.

    A detection shows the garment that it overlaps by half or more, the best one first; the others
    show none. What lies on a crowd is left out.
    """
    categories = tagger.vocabulary.categories
    rows = [row for photo in photos for row in _rows(tagger, photo)]
    matches = match(Truth(tuple(photos), categories), rows, "bbox", same_category=False)
    judged = [
        (row, photo.photo.classes[garment] + 1 if garment >= 0 else 0)
        for photo in matches
        for row, garment, ignored in zip(photo.rows, photo.garments, photo.ignored, strict=True)
        if not ignored
    ]
    count = len(categories)
    return Opinions(
        np.array([row["class_scores"] for row, _ in judged]).reshape(-1, count),
        np.array([row["verdict"] for row, _ in judged]).reshape(-1, count + 1),
        np.array([truth for _, truth in judged], dtype=np.int64),
    )


def _loss(combination: Combination, opinions: Opinions) -> float:
    chances = combination.chances(opinions.class_scores, opinions.verdicts)
    right = chances[np.arange(len(opinions)), opinions.truth]
    return float(-np.log(right).mean())


def _rows(tagger: Tagger, photo: Photo) -> Iterator[dict[str, object]]:
    """Detections of one photo as COCO result rows, with ``class_scores`` and ``verdict``."""
    for garment in tagger.look(photo.pixels()):
        if garment.class_scores.max() < LEAST_SCORE:
            continue
        left, top, right, bottom = (float(edge) for edge in garment.box)
        yield {
            "image_id": photo.coco_id,
            "category_id": tagger.vocabulary.categories.index(garment.category) + 1,
            "bbox": [left, top, right - left, bottom - top],
            "score": garment.score,
            "class_scores": garment.class_scores,
            "verdict": garment.verdict,
        }

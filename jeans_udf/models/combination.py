"""One answer of two models: the category of a garment, and the chance that it is one.

The detector sees the whole photo and tells how sure it is of each category; the classifier sees the
garment alone and larger. Their log-chances are added with two weights, and a bias for ``none``:
three numbers, fitted on validation photos by `training.combining`, so that the score of a garment
says how often such a garment is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST = 1e-4
"""Chances below it are taken for it: none is impossible."""


@dataclass(frozen=True)
class Combination:
    """Weights of the models' log-chances; see `bundle.CombinationSpec`."""

    detector: float
    classifier: float
    none_bias: float

    def chances(self, class_scores: np.ndarray, verdicts: np.ndarray) -> np.ndarray:
        """(N, 1 + C): chances of none and of each category, sum 1.

        ``class_scores (N, C)`` are the detector's, what lacks to 1 is its background; ``verdicts
        (N, 1 + C)`` the classifier's.
        """
        background = 1 - class_scores.sum(axis=1, keepdims=True, dtype=np.float64)
        detector = _log(np.concatenate([background, class_scores], axis=1))
        logits = self.detector * detector + self.classifier * _log(verdicts)
        logits[:, 0] += self.none_bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances: np.ndarray = odds / odds.sum(axis=1, keepdims=True)
        return chances

    def decide(
        self, class_scores: np.ndarray, verdicts: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N,) int64 and (N,) float64: the likeliest category's index, and its chance."""
        chances = self.chances(class_scores, verdicts)[:, 1:]
        best = chances.argmax(axis=1)
        return best, chances[np.arange(len(best)), best]


def _log(chances: np.ndarray) -> np.ndarray:
    logs: np.ndarray = np.log(np.clip(chances.astype(np.float64), LEAST, 1))
    return logs

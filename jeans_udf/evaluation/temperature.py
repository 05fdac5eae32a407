"""Temperatures: what a classifier's logits are divided by so that its scores keep their word.

A network is usually too sure of itself. One temperature for each group and one for the verdict
mend that, after Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017.
The best label of an exclusive group stays the best one. Thresholds are to be fitted afterwards, on
the scores that temperatures give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from jeans_udf.evaluation.calibration import BINS, Bin, calibration_error, reliability
from jeans_udf.models.outputs import Scoring, group_probabilities
from jeans_udf.vocabulary import Vocabulary

VERDICT = "category"
"""The name of the verdict's temperature."""
MOST = 5.0
"""Temperatures are 1/5 to 5; beyond, the validation photos are too easy, or the network guesses."""
TRUSTED = 20
"""Rows from which on a temperature counts alone; that of fewer is drawn towards 1."""


@dataclass(frozen=True)
class _Part:
    """A group, or the verdict: where its outputs stand, and the rows where its truth is known."""

    name: str
    span: slice
    one: bool
    """One of its outputs is right, or else each by itself."""
    known: np.ndarray
    """(N,) bool"""


def fit_temperatures(
    logits: np.ndarray, targets: np.ndarray, vocabulary: Vocabulary, scoring: Scoring
) -> dict[str, float]:
    """The temperature of least negative log-likelihood of each group and of the verdict.

    ``logits (N, outputs) float32`` and ``targets (N, outputs) bool``, in the order of
    `output_names`, of photos that were not trained on. An exclusive group is judged by the rows
    with a label of it, another group by all garments. The verdict, when there are outputs for it,
    is called ``category``.
    """
    return {
        part.name: _fit(
            logits[part.known, part.span],
            targets[part.known, part.span],
            softmax=part.one and scoring == "groups",
        )
        for part in _parts(targets, vocabulary)
    }


def expected_calibration_error(scores: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """`calibration_error` of ``scores (n,)`` that are ``right (n,) bool``; NaN for none."""
    return calibration_error(reliability(scores, right, bins))


def calibration_figures(
    logits: np.ndarray,
    targets: np.ndarray,
    vocabulary: Vocabulary,
    scoring: Scoring,
    photos: Sequence[str],
    folds: int = 5,
    seed: int = 0,
) -> dict[str, dict[str, float | int | None]]:
    """Expected calibration error without temperatures and with ones fitted on other photos.

    Arrays as in `fit_temperatures`; ``photos`` names the photo of each row, and all its rows share
    one of the ``folds``. Of an exclusive group and of the verdict the best score is judged, of
    another group every label's. Gives ``ece_before``, ``ece_after`` (None without rows) and
    ``rows`` of each, and of ``all``: the judged scores of all of them in one heap.
    """
    before, after = _held_out(logits, targets, vocabulary, scoring, photos, folds, seed)
    parts = _parts(targets, vocabulary)
    figures = {part.name: _figures([part], before, after, targets) for part in parts}
    return figures | {"all": _figures(parts, before, after, targets)}


def calibration_bins(
    logits: np.ndarray,
    targets: np.ndarray,
    vocabulary: Vocabulary,
    scoring: Scoring,
    photos: Sequence[str],
    folds: int = 5,
    seed: int = 0,
) -> tuple[list[Bin], list[Bin]]:
    """Of ``all`` of `calibration_figures`, which takes the same: the bins before and after."""
    parts = _parts(targets, vocabulary)
    before, after = (
        _pooled([_judged(part, scores, targets) for part in parts])
        for scores in _held_out(logits, targets, vocabulary, scoring, photos, folds, seed)
    )
    return reliability(*before), reliability(*after)


def _held_out(
    logits: np.ndarray,
    targets: np.ndarray,
    vocabulary: Vocabulary,
    scoring: Scoring,
    photos: Sequence[str],
    folds: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Scores without temperatures, and with those that were fitted on the other folds."""
    before = _scores(logits, vocabulary, scoring, {})
    after = before.copy()
    fold = _folds(photos, folds, seed)
    for number in range(folds):
        held = fold == number
        fitted = fit_temperatures(logits[~held], targets[~held], vocabulary, scoring)
        after[held] = _scores(logits[held], vocabulary, scoring, fitted)
    return before, after


def _parts(targets: np.ndarray, vocabulary: Vocabulary) -> list[_Part]:
    count = len(vocabulary.labels)
    verdict = targets[:, count:]
    garments = ~verdict[:, :1].any(axis=1)
    parts = []
    for name, span in vocabulary.spans().items():
        one = vocabulary.group(name).exclusive
        known = targets[:, span].any(axis=1) if one else garments
        parts.append(_Part(name, span, one, np.asarray(known)))
    if verdict.shape[1]:
        known = np.asarray(verdict.any(axis=1))
        parts.append(_Part(VERDICT, slice(count, targets.shape[1]), True, known))
    return parts


def _fit(logits: np.ndarray, truth: np.ndarray, *, softmax: bool) -> float:
    """The temperature of one part; ``logits`` and ``truth`` (n, k)."""
    if not len(logits):
        return 1.0
    values, rows, wanted = logits.astype(np.float64), np.arange(len(logits)), truth.argmax(1)

    def loss(log_temperature: float) -> float:
        scaled = values / np.exp(log_temperature)
        if softmax:
            return float((logsumexp(scaled, axis=1) - scaled[rows, wanted]).mean())
        return float(np.logaddexp(0, np.where(truth, -scaled, scaled)).mean())

    # The loss is convex in 1/T, so it has one valley in log T, too.
    bound = np.log(MOST)
    found = minimize_scalar(loss, bounds=(-bound, bound), method="bounded")
    if not found.fun < loss(0.0):
        return 1.0  # a group of one label: every temperature is as good
    return round(float(np.exp(found.x * min(1.0, len(logits) / TRUSTED))), 4)


def _scores(
    logits: np.ndarray, vocabulary: Vocabulary, scoring: Scoring, temperatures: Mapping[str, float]
) -> np.ndarray:
    given = torch.from_numpy(np.ascontiguousarray(logits))
    return group_probabilities(given, vocabulary, scoring, temperatures).numpy()


def _folds(photos: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """(N,) int: the fold of each row, the same for all rows of a photo; folds differ by one."""
    names, of_row = np.unique(np.array(photos, dtype=str), return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % folds)[of_row]


def _figures(
    parts: Sequence[_Part], before: np.ndarray, after: np.ndarray, targets: np.ndarray
) -> dict[str, float | int | None]:
    known = np.any([part.known for part in parts], axis=0)
    return {
        "ece_before": _error([_judged(part, before, targets) for part in parts]),
        "ece_after": _error([_judged(part, after, targets) for part in parts]),
        "rows": int(known.sum()),
    }


def _judged(part: _Part, scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The scores that are judged (n,) and whether each is right (n,) bool."""
    values, truth = scores[part.known, part.span], targets[part.known, part.span]
    if not part.one:
        return values.ravel(), truth.ravel()
    rows, best = np.arange(len(values)), values.argmax(1)
    return values[rows, best], truth[rows, best]


def _pooled(judged: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    scores = np.concatenate([scores for scores, _ in judged]).astype(np.float64)
    return scores, np.concatenate([right for _, right in judged])


def _error(judged: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    scores, right = _pooled(judged)
    return expected_calibration_error(scores, right) if len(scores) else None

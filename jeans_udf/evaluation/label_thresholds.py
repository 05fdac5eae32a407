"""Thresholds of labels that maximise F1 on validation crops.

Within an exclusive group the label that exceeds its threshold by the greatest factor is the answer
(`models.classifier.decide`). So a rare label with a low threshold, such as cropped, can be answered
beside a frequent one, such as full, that the network finds likelier almost always.
"""

from __future__ import annotations

import numpy as np

from jeans_udf.vocabulary import Vocabulary

GRID = np.round(np.arange(0.1, 0.91, 0.05), 2)
"""Thresholds that are tried: 0.1, 0.15 … 0.9."""
RATIOS = np.array([0.35, 0.45, 0.6, 0.8, 1.0, 1.25, 1.6])
"""Of a label's threshold to its group's, within exclusive groups."""
TRUSTED = 20
"""Garments of a label from which on its own best threshold counts alone."""
GAIN = 0.004
"""F1 that another threshold must gain: less is chance."""
ROUNDS = 3
"""How often each label's threshold is tried anew, given the others'."""


def fit_thresholds(
    scores: np.ndarray, truth: np.ndarray, vocabulary: Vocabulary, most_abstained: float = 0.08
) -> dict[str, float]:
    """Thresholds of best F1, as `decide` takes them: of every label and every exclusive group.

    ``scores`` (N, L or more) of garments, ``truth`` (N, L) bool. The best threshold of a label with
    little support is chance: it is drawn, in proportion, towards its group's common one. A group's
    are lowered together until it abstains on at most ``most_abstained`` (0 to 1) of the rows where
    its truth is known.
    """
    thresholds: dict[str, float] = {}
    for name, span in vocabulary.spans().items():
        group = vocabulary.group(name)
        values, wanted = scores[:, span], truth[:, span]
        if group.exclusive:
            known = wanted.any(axis=1)
            found = _exclusive(values[known], wanted[known].argmax(1), most_abstained)
            thresholds |= dict(zip((name, *group.labels), found, strict=True))
            continue
        common = _best_threshold(values.ravel(), wanted.ravel(), int(wanted.sum()), 0.5)
        for k, label in enumerate(group.labels):
            support = int(wanted[:, k].sum())
            best = _best_threshold(values[:, k], wanted[:, k], support, common)
            thresholds[label] = round(_drawn(best, common, support), 3)
    return thresholds


def _exclusive(scores: np.ndarray, wanted: np.ndarray, most_abstained: float) -> list[float]:
    """Thresholds of an exclusive group and then of each of its K labels.

    ``scores`` (N, K), ``wanted`` (N,) int: the true label of each row.
    """
    count = scores.shape[1]
    answers, best = scores.argmax(1), scores.max(1, initial=0)
    common = _best_threshold(best, answers == wanted, len(best), 0.5)
    supports = np.bincount(wanted, minlength=count)
    ratios = _best_ratios(scores / common, wanted)
    trust = np.minimum(1, supports / TRUSTED)
    found = common * np.concatenate([[1.0], ratios**trust])
    excess = (scores / found[1:]).max(1, initial=0)
    if (excess < 1).mean() > most_abstained if len(excess) else False:
        # The lowest excess that may be answered becomes 1; all by one factor, so that the answers
        # stay what they are.
        found *= np.sort(excess)[int(most_abstained * len(excess))]
    # Rounded down: what just reaches its threshold must not miss it.
    return [float(value) for value in np.floor(found * 1e4) / 1e4]


def _best_ratios(excess: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(K,) factors on the thresholds, ``excess`` (N, K) being scores over the common one."""
    ratios = np.ones(excess.shape[1])
    best = _quality(excess, wanted)
    for _ in range(ROUNDS):
        before = ratios.copy()
        for k in range(len(ratios)):
            trials = np.tile(ratios, (len(RATIOS), 1))
            trials[:, k] = RATIOS
            quality = [_quality(excess / trial, wanted) for trial in trials]
            if max(quality) > best + GAIN:
                best, ratios = max(quality), trials[int(np.argmax(quality))]
        if (ratios == before).all():
            break
    return ratios


def _quality(excess: np.ndarray, wanted: np.ndarray) -> float:
    """Mean of micro and macro F1; the macro one weighs labels of little support by it."""
    if not len(wanted):
        return 0.0
    count = excess.shape[1]
    answered = excess.max(1) >= 1
    answers = excess.argmax(1)
    supports = np.bincount(wanted, minlength=count)
    given = np.bincount(answers[answered], minlength=count)
    right = np.bincount(answers[answered & (answers == wanted)], minlength=count)
    micro = 2 * right.sum() / (given.sum() + supports.sum())
    f1 = 2 * right / np.maximum(given + supports, 1)
    weights = np.minimum(1, supports / TRUSTED)
    return float((micro + np.average(f1, weights=weights)) / 2)


def _best_threshold(
    values: np.ndarray, right: np.ndarray, support: int, otherwise: float
) -> float:
    """The threshold of `GRID` with the best F1, of equals the middle one; ``otherwise`` for none.

    Of answers with scores ``values`` (n,) that are ``right`` (n,) bool; ``support`` is how many
    there are to be found.
    """
    kept = values >= GRID[:, None]
    hits = (kept & right).sum(1)
    if not hits.any():
        return otherwise
    f1 = 2 * hits / np.maximum(kept.sum(1) + support, 1)
    best = GRID[f1 == f1.max()]
    return float(best[len(best) // 2])


def _drawn(best: float, common: float, support: int) -> float:
    trust = min(1.0, support / TRUSTED)
    return float(best**trust * common ** (1 - trust))

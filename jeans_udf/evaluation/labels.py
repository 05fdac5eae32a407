"""Precision, recall, F1 and support of labels, and what a threshold makes of scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from jeans_udf.models.attributes import decide
from jeans_udf.vocabulary import Vocabulary


def label_figures(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Of one label: ``truth`` and ``predicted`` (N,) bool."""
    hits = int((truth & predicted).sum())
    precision = hits / max(1, int(predicted.sum()))
    recall = hits / max(1, int(truth.sum()))
    f1 = 2 * hits / max(1, int(truth.sum()) + int(predicted.sum()))
    return {"precision": precision, "recall": recall, "f1": f1, "support": int(truth.sum())}


def attribute_figures(
    truth: np.ndarray, predicted: np.ndarray, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Figures by label, and micro and macro F1; both arrays (N, L) bool.

    An exclusive group without a true label is unknown (hidden, or does not apply) and not judged.
    Macro F1 is the mean over labels with support.
    """
    predicted = predicted & judged(truth, vocabulary)
    labels = {
        label: label_figures(truth[:, i], predicted[:, i])
        for i, label in enumerate(vocabulary.labels)
    }
    whole = label_figures(truth.ravel(), predicted.ravel())
    supported = [figures["f1"] for figures in labels.values() if figures["support"]]
    return {
        "labels": labels,
        "micro_precision": whole["precision"],
        "micro_recall": whole["recall"],
        "micro_f1": whole["f1"],
        "macro_f1": float(np.mean(supported)) if supported else float("nan"),
    }


def f_beta(truth: np.ndarray, predicted: np.ndarray, beta: float) -> float:
    """F-beta of each row, averaged over rows, as fastai v1's ``fbeta``; both arrays (N, L) bool.

    A row without true and predicted labels counts as 0 there, so here too.
    """
    hits = (truth & predicted).sum(1)
    precision = hits / np.maximum(predicted.sum(1), 1)
    recall = hits / np.maximum(truth.sum(1), 1)
    weighed = beta**2 * precision + recall
    return float(((1 + beta**2) * precision * recall / np.maximum(weighed, 1e-9)).mean())


def accuracy_multi(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of right decisions over all rows and labels, as fastai's ``accuracy_multi``.

    It says little where labels are sparse: naming none at all is right nine times in ten.
    """
    return float((truth == predicted).mean())


def mean_average_precision(truth: np.ndarray, scores: np.ndarray) -> float:
    """Mean over labels with support of the area under precision over recall (N, L each)."""
    values = [
        average_precision_score(truth[:, k], scores[:, k])
        for k in range(truth.shape[1])
        if truth[:, k].any()
    ]
    return float(np.mean(values)) if values else float("nan")


def judged(truth: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """(N, L) bool: where the truth is known."""
    known = np.ones_like(truth, dtype=bool)
    for name, span in vocabulary.spans().items():
        if vocabulary.group(name).exclusive:
            known[:, span] = truth[:, span].any(axis=1, keepdims=True)
    return known


def decisions(
    scores: np.ndarray,
    categories: Sequence[str | None],
    vocabulary: Vocabulary,
    thresholds: dict[str, float],
) -> np.ndarray:
    """Labels (N, L) bool that `decide` gives for scores (N, L or more)."""
    names = vocabulary.labels
    chosen = np.zeros((len(scores), len(names)), dtype=bool)
    for row, (values, category) in enumerate(zip(scores, categories, strict=True)):
        given = set(decide(values, category, vocabulary, thresholds).labels)
        chosen[row] = [name in given for name in names]
    return chosen

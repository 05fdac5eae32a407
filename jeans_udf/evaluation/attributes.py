"""How well a classifier names attributes: figures of labels and groups, and a table of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from jeans_udf.evaluation.labels import (
    accuracy_multi,
    attribute_figures,
    decisions,
    f_beta,
    judged,
    mean_average_precision,
)
from jeans_udf.vocabulary import Vocabulary

COMMON = 10
"""Garments of a label from which on its F1 says something."""
BETA = 2.0
"""Recall weighs more than precision, as in fastai's lesson on labels of pictures."""


def judge_attributes(
    scores: np.ndarray,
    truth: np.ndarray,
    categories: Sequence[str | None],
    vocabulary: Vocabulary,
    thresholds: Mapping[str, float],
) -> dict[str, Any]:
    """`attribute_figures` of what `decide` says of N garments, and more; JSON without NaN.

    ``scores`` (N, L or more) float, ``truth`` (N, L) bool, ``categories`` the N garments' own.
    Every figure is of what is known: an exclusive group without a true label is not judged. What
    cannot be told is None, such as the average precision of a label without support.
    """
    said = decisions(scores, categories, vocabulary, dict(thresholds))
    known = judged(truth, vocabulary)
    # What is unknown ranks last, where it changes no precision.
    ranked = np.where(known, scores[:, : truth.shape[1]], -1.0)
    figures = attribute_figures(truth, said, vocabulary)
    for k, (label, found) in enumerate(figures["labels"].items()):
        found["threshold"] = _threshold(label, vocabulary, thresholds)
        found["average_precision"] = (
            float(average_precision_score(truth[:, k], ranked[:, k])) if found["support"] else None
        )
    common = [f["f1"] for f in figures["labels"].values() if f["support"] >= COMMON]
    figures["macro_f1"] = _told(figures["macro_f1"])
    return figures | {
        "macro_f1_common": float(np.mean(common)) if common else None,
        "common_labels": len(common),
        "groups": _group_figures(truth, said, vocabulary),
        "f_beta": f_beta(truth, said & known, BETA) if len(truth) else None,
        "accuracy_multi": accuracy_multi(truth[known], said[known]) if known.any() else None,
        "mean_average_precision": _told(mean_average_precision(truth, ranked)),
    }


def attributes_markdown(figures: Mapping[str, Any], vocabulary: Vocabulary) -> str:
    """`judge_attributes`'s figures of labels as a table in GitHub's Markdown; last the totals.

    Those are micro figures: of all decisions together.
    """
    lines = [
        "| label | precision | recall | F1 | support | threshold |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for label in vocabulary.labels:
        found = figures["labels"][label]
        shown = [found[key] if found["support"] else None for key in ("precision", "recall", "f1")]
        lines.append(_row(f"`{label}`", *shown, found["support"], found["threshold"]))
    total = sum(found["support"] for found in figures["labels"].values())
    micro = (figures[f"micro_{key}"] if total else None for key in ("precision", "recall", "f1"))
    lines.append(_row("all labels", *micro, total, None))
    return "\n".join(lines) + "\n"


def _threshold(label: str, vocabulary: Vocabulary, thresholds: Mapping[str, float]) -> float:
    """The one that `decide` compares a score of ``label`` with."""
    group = next(group for group in vocabulary.groups if label in group.labels)
    return thresholds[label if label in thresholds else group.name]


def _group_figures(
    truth: np.ndarray, said: np.ndarray, vocabulary: Vocabulary
) -> dict[str, dict[str, float | int | None]]:
    """Of each exclusive group: how often its answers are right, and how often it has none."""
    figures: dict[str, dict[str, float | int | None]] = {}
    for name, span in vocabulary.spans().items():
        if not vocabulary.group(name).exclusive:
            continue
        known = truth[:, span].any(axis=1)
        answered = int((said[:, span].any(axis=1) & known).sum())
        right = int((said & truth)[:, span].any(axis=1).sum())
        count = int(known.sum())
        figures[name] = {
            "answered_right": right / answered if answered else None,
            "abstained": (count - answered) / count if count else None,
            "known": count,
        }
    return figures


def _told(value: float) -> float | None:
    return None if math.isnan(value) else value


def _row(name: str, *values: float | int | None) -> str:
    return f"| {name} | {' | '.join(_cell(value) for value in values)} |"


def _cell(value: float | int | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"

"""Precision, recall and F1 by category, and which category is taken for which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jeans_udf.evaluation.matching import Matches


def confusion(matches: Sequence[Matches], categories: int) -> np.ndarray:
    """(K + 1, K + 1) int64: rows the truth, columns what was detected.

    ``matches`` are those that disregard the category. The last row counts detections that show no
    garment (background), the last column garments that nothing was detected on (missed).
    """
    table = np.zeros((categories + 1, categories + 1), dtype=np.int64)
    for found in matches:
        for index, row in enumerate(found.rows):
            if not found.ignored[index]:
                garment = int(found.garments[index])
                truth = found.photo.classes[garment] if garment >= 0 else categories
                table[truth, row["category_id"] - 1] += 1
        for garment in found.missed:
            table[found.photo.classes[garment], categories] += 1
    return table


def category_figures(
    matches: Sequence[Matches], categories: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Precision, recall, F1, support (garments) and detections by category, and of ``all``.

    ``matches`` are those of equal categories. A figure without anything to count is NaN:
    precision without detections, recall without support, F1 without both.
    """
    hits, found, support = (np.zeros(len(categories), dtype=np.int64) for _ in range(3))
    for photo in matches:
        np.add.at(support, list(photo.photo.classes), 1)
        for index, row in enumerate(photo.rows):
            if not photo.ignored[index]:
                found[row["category_id"] - 1] += 1
                hits[row["category_id"] - 1] += int(photo.garments[index] >= 0)
    figures = {
        name: rates(int(hits[k]), int(found[k]), int(support[k]))
        for k, name in enumerate(categories)
    }
    return figures | {"all": rates(int(hits.sum()), int(found.sum()), int(support.sum()))}


def found_figures(matches: Sequence[Matches]) -> dict[str, float]:
    """The same whatever the category, of matches that disregard it: is a garment found at all?"""
    hits = sum(int((m.garments >= 0).sum()) for m in matches)
    found = sum(int((~m.ignored).sum()) for m in matches)
    return rates(hits, found, sum(len(m.photo.classes) for m in matches))


def rates(hits: int, found: int, support: int) -> dict[str, float]:
    """Precision, recall and F1 of ``hits`` among ``found`` detections and ``support`` garments."""
    return {
        "precision": hits / found if found else float("nan"),
        "recall": hits / support if support else float("nan"),
        "f1": 2 * hits / (found + support) if found + support else float("nan"),
        "support": support,
        "detections": found,
    }

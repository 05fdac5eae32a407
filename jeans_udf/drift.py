"""How far a run's labels have moved from an earlier run's: the population stability index.

PSI = sum over labels of (p - q) ln(p / q), p and q being the label's shares now and before; the
field's rule of thumb calls 0.1 a small and 0.25 a large shift. A group of several labels a garment
has one index for each label (given or not), and the largest counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from jeans_udf.vocabulary import Vocabulary

GIVEN_NO_LABEL = ""
"""Key of garments of which an exclusive group says nothing."""

SMOOTHING = 0.5
"""Added to every count, so that a label that was never seen does not make the index infinite."""


def stability_index(now: Mapping[str, int], before: Mapping[str, int]) -> float:
    """PSI of two counts by label; 0 when either is empty."""
    labels = sorted(now.keys() | before.keys())
    if not sum(now.values()) or not sum(before.values()):
        return 0.0
    p, q = (_shares(counts, labels) for counts in (now, before))
    return sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))


def drift_by_group(
    now: Mapping[str, int], before: Mapping[str, int], vocabulary: Vocabulary
) -> dict[str, float]:
    """PSI of ``category`` and of every group, of two ``label_counts`` of tagging_runs."""
    drift = {"category": stability_index(_of(now, "category"), _of(before, "category"))}
    totals = [sum(_of(counts, "category").values()) for counts in (now, before)]
    for group in vocabulary.groups:
        ours, theirs = _of(now, group.name), _of(before, group.name)
        if group.exclusive:
            drift[group.name] = stability_index(ours, theirs)
        else:
            drift[group.name] = max(
                stability_index(
                    _yes_no(ours.get(label, 0), totals[0]), _yes_no(theirs.get(label, 0), totals[1])
                )
                for label in group.labels
            )
    return drift


def _shares(counts: Mapping[str, int], labels: list[str]) -> list[float]:
    total = sum(counts.values()) + SMOOTHING * len(labels)
    return [(counts.get(label, 0) + SMOOTHING) / total for label in labels]


def _of(counts: Mapping[str, int], group: str) -> dict[str, int]:
    start = group + "."
    return {key[len(start) :]: n for key, n in counts.items() if key.startswith(start)}


def _yes_no(yes: int, total: int) -> dict[str, int]:
    return {"yes": yes, "no": max(total - yes, 0)}

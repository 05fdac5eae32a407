"""From scores to attributes: one label or none of an exclusive group, a list of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jeans_udf.vocabulary import Group, Vocabulary

MIN_THRESHOLD = 1e-6
"""A threshold of 0 is taken for it: every score reaches it."""


@dataclass(frozen=True)
class Attributes:
    """Answers for one garment: a label or None by exclusive group, a list by other groups."""

    exclusive: dict[str, str | None]
    multiple: dict[str, list[str]]
    scores: dict[str, float]
    """Score of every label of the groups that apply to the garment's category, 0 to 1."""

    @property
    def labels(self) -> list[str]:
        """All labels, in the vocabulary's order of groups."""
        single = [label for label in self.exclusive.values() if label is not None]
        return single + [label for labels in self.multiple.values() for label in labels]

    def group_score(self, group: Group) -> float | None:
        """The answer's score of an exclusive group, or the best one where it abstains.

        None where the group does not apply.
        """
        answer = self.exclusive[group.name]
        if answer is not None:
            return self.scores[answer]
        scores = [self.scores[label] for label in group.labels if label in self.scores]
        return max(scores) if scores else None


def decide(
    scores: np.ndarray,
    category: str | None,
    vocabulary: Vocabulary,
    thresholds: Mapping[str, float],
) -> Attributes:
    """Labels of one garment from its scores ``(L,)`` (or longer: the verdict is not read).

    ``thresholds`` holds one value for each exclusive group and one for each label of the others.
    A label of an exclusive group may have its own, which goes before the group's: what exceeds its
    threshold by the greatest factor is the answer. Without a category every group applies.
    """
    exclusive: dict[str, str | None] = {}
    multiple: dict[str, list[str]] = {}
    known: dict[str, float] = {}
    for name, span in vocabulary.spans().items():
        group = vocabulary.group(name)
        values = scores[span]
        applies = category is None or category in group.applies_to
        if applies:
            known |= dict(zip(group.labels, map(float, values), strict=True))
        if group.exclusive:
            least = [thresholds.get(label, thresholds[name]) for label in group.labels]
            excess = values / np.maximum(least, MIN_THRESHOLD)
            best = int(excess.argmax())
            exclusive[name] = group.labels[best] if applies and excess[best] >= 1 else None
        else:
            multiple[name] = [
                label
                for label, value in zip(group.labels, values, strict=True)
                if applies and value >= thresholds[label]
            ]
    return Attributes(exclusive, multiple, known)



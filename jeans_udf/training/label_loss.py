"""Losses of multi-label classifiers: aware of the vocabulary's groups, or blind to them.

Both take logits and multi-hot targets (N, L), in the order of `output_names`, and return a scalar.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from jeans_udf.models.outputs import exclusive_spans
from jeans_udf.vocabulary import Vocabulary

MOST_WEIGHT = 10.0
"""However rare a label is."""


class GroupLoss(nn.Module):
    """Cross-entropy within exclusive groups, binary cross-entropy for the other labels.

    A row without a label in an exclusive group is unknown there and does not count. Of a crop of
    the verdict ``none``, and of one that has a category alone, the other groups are unknown too.
    ``weights`` (L,) multiply each label's positives.
    """

    def __init__(
        self, vocabulary: Vocabulary, smoothing: float, weights: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        self.exclusive = exclusive_spans(vocabulary)
        spans = vocabulary.spans()
        self.multiple = [spans[group.name] for group in vocabulary.groups if not group.exclusive]
        self.labels = len(vocabulary.labels)
        self.smoothing = smoothing
        self.weights = weights

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        weights = None if self.weights is None else self.weights.to(logits.device)
        total = logits.sum() * 0.0
        for span in self.exclusive:
            values, wanted = logits[:, span], targets[:, span].float()
            known = wanted.sum(1) > 0
            if known.any():
                total = total + nn.functional.cross_entropy(
                    values[known],
                    wanted[known].argmax(1),
                    weight=None if weights is None else weights[span],
                    label_smoothing=self.smoothing,
                )
        garments = targets[:, : self.labels].any(1) | (targets[:, self.labels :].sum(1) == 0)
        for span in self.multiple:
            if garments.any():
                values, wanted = logits[garments, span], targets[garments, span].float()
                # Several of a group's labels are true at once: together they weigh a quarter of
                # their number, about two exclusive groups for eight details.
                total = total + 0.25 * wanted.shape[1] * (
                    nn.functional.binary_cross_entropy_with_logits(
                        values, wanted, pos_weight=None if weights is None else weights[span]
                    )
                )
        return total


class BinaryLoss(nn.Module):
    """Binary cross-entropy of every label by itself: a label that is not given counts as absent.

    That is fastai's loss for several labels, and the original project's.
    """

    def __init__(self, weights: torch.Tensor | None = None) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        weights = None if self.weights is None else self.weights.to(logits.device)
        return nn.functional.binary_cross_entropy_with_logits(
            logits, targets.float(), pos_weight=weights
        )


def rarity_weights(targets: np.ndarray, balance: float) -> torch.Tensor | None:
    """Weights (L,) of labels by how rare they are in ``targets`` (N, L); None for ``balance`` 0.

    ``(N / count) ** balance``, their mean over all positives 1, at most 10; None also without any.
    """
    counts = targets.sum(0)
    if balance == 0 or not counts.any():
        return None
    weights = (len(targets) / np.maximum(counts, 1)) ** balance
    weights /= np.average(weights, weights=counts)
    return torch.tensor(np.minimum(weights, MOST_WEIGHT), dtype=torch.float32)

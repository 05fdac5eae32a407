"""Attribute classifier: a timm network over masked crops, in plain torch.

One linear layer gives a logit for each label of the vocabulary. Within an exclusive group they are
one softmax, in other groups each is a sigmoid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import timm
import torch
from PIL import Image
from torch import nn

from jeans_udf.vocabulary import Group, Vocabulary

GREY = 127
"""Value of the background: the middle, so that a mask's edge is no darker or lighter than it."""


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
        """The best label's score of an exclusive group; None where the group does not apply."""
        scores = [self.scores[label] for label in group.labels if label in self.scores]
        return max(scores) if scores else None


def build_classifier(backbone: str, labels: int, drop_rate: float = 0.0) -> nn.Module:
    """A timm network with one linear layer to ``labels`` logits."""
    model = timm.create_model(
        backbone, pretrained=False, num_classes=labels, drop_rate=drop_rate
    )
    return model


def fit_square(crop: np.ndarray, size: int) -> np.ndarray:
    """A masked crop ``(H, W, 4) uint8`` RGBA centred on a grey square, ``(size, size, 3) uint8``.

    The aspect ratio is kept: how wide a leg is tells the fit. Transparent pixels become grey
    before scaling, so that no colour of the background bleeds in.
    """
    opaque = crop[:, :, 3:] > 0
    flat = Image.fromarray(np.where(opaque, crop[:, :, :3], np.uint8(GREY)))
    scale = size / max(flat.size)
    width, height = (max(1, round(side * scale)) for side in flat.size)
    square = Image.new("RGB", (size, size), (GREY, GREY, GREY))
    # Reduced first by whole factors: as good as one large antialiased resize, and faster.
    resized = flat.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    square.paste(resized, ((size - width) // 2, (size - height) // 2))
    return np.asarray(square)


def group_probabilities(logits: torch.Tensor, vocabulary: Vocabulary) -> torch.Tensor:
    """Logits (N, L) to scores (N, L): softmax within exclusive groups, sigmoid elsewhere."""
    scores = torch.sigmoid(logits)
    for name, span in vocabulary.spans().items():
        if vocabulary.group(name).exclusive:
            scores[:, span] = torch.softmax(logits[:, span], dim=1)
    return scores


def decide(
    scores: np.ndarray, category: str, vocabulary: Vocabulary, thresholds: Mapping[str, float]
) -> Attributes:
    """Labels of one garment from its scores ``(L,)``.

    ``thresholds`` holds one value for each exclusive group and one for each label of the others.
    """
    exclusive: dict[str, str | None] = {}
    multiple: dict[str, list[str]] = {}
    known: dict[str, float] = {}
    for name, span in vocabulary.spans().items():
        group = vocabulary.group(name)
        values = scores[span]
        applies = category in group.applies_to
        if applies:
            known |= dict(zip(group.labels, map(float, values), strict=True))
        if group.exclusive:
            best = int(values.argmax())
            sure = applies and values[best] >= thresholds[name]
            exclusive[name] = group.labels[best] if sure else None
        else:
            multiple[name] = [
                label
                for label, value in zip(group.labels, values, strict=True)
                if applies and value >= thresholds[label]
            ]
    return Attributes(exclusive, multiple, known)


class Classifier:
    """A classifier ready to run: `prepare` on any thread, `classify` on batches."""

    def __init__(
        self,
        model: nn.Module,
        vocabulary: Vocabulary,
        *,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        thresholds: Mapping[str, float],
        device: torch.device,
    ) -> None:
        self.model = model.eval().to(device=device, memory_format=torch.channels_last)
        self.vocabulary = vocabulary
        self.size = size
        self.thresholds = dict(thresholds)
        self.device = device
        self._mean = torch.tensor(mean, device=device).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(std, device=device).view(1, 3, 1, 1) * 255

    def prepare(self, crop: np.ndarray) -> np.ndarray:
        """A masked crop (H, W, 4) uint8 RGBA as the model's input (size, size, 3) uint8."""
        return fit_square(crop, self.size)

    @torch.inference_mode()
    def scores(self, squares: Sequence[np.ndarray]) -> np.ndarray:
        """Scores (N, L) float32 of prepared crops."""
        batch = torch.from_numpy(np.stack(squares)).to(self.device).permute(0, 3, 1, 2).float()
        batch = ((batch - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        return group_probabilities(self.model(batch), self.vocabulary).cpu().numpy()

    def classify(self, squares: Sequence[np.ndarray], categories: Sequence[str]) -> list[Attributes]:
        """Attributes of prepared crops, each with the category that the detector gave."""
        if not squares:
            return []
        return [
            decide(row, category, self.vocabulary, self.thresholds)
            for row, category in zip(self.scores(squares), categories, strict=True)
        ]

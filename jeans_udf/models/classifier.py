"""Attribute classifier: a timm network over masked crops, in plain torch.

One linear layer gives a logit for each label of the vocabulary. Within an exclusive group they are
one softmax, in other groups each is a sigmoid. After them stands the verdict, one softmax more:
``none`` (the crop shows no bottom garment) and the categories. It sees the garment alone and
larger than the detector does, so it tells what the detector mistook for a garment. Its opinion on
the category is not used: on validation photos the detector's is as good.
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


NONE = "none"
"""Verdict on a crop that shows no garment of the vocabulary."""


def output_names(vocabulary: Vocabulary) -> tuple[str, ...]:
    """Names of the logits, in order: the labels, then ``category:none``, ``category:jeans``, …"""
    verdicts = (f"category:{name}" for name in (NONE, *vocabulary.categories))
    return (*vocabulary.labels, *verdicts)


def exclusive_spans(vocabulary: Vocabulary) -> list[slice]:
    """Where the softmaxes of the output stand: exclusive groups, and the verdict last."""
    spans = [s for n, s in vocabulary.spans().items() if vocabulary.group(n).exclusive]
    return [*spans, slice(len(vocabulary.labels), len(output_names(vocabulary)))]


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


def build_classifier(backbone: str, vocabulary: Vocabulary, drop_rate: float = 0.0) -> nn.Module:
    """A timm network with one linear layer to the logits of `output_names`."""
    return timm.create_model(
        backbone,
        pretrained=False,
        num_classes=len(output_names(vocabulary)),
        drop_rate=drop_rate,
    )


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
    """Logits (N, outputs) to scores: softmax within exclusive groups, sigmoid elsewhere."""
    scores = torch.sigmoid(logits)
    for span in exclusive_spans(vocabulary):
        scores[:, span] = torch.softmax(logits[:, span], dim=1)
    return scores


def decide(
    scores: np.ndarray, category: str, vocabulary: Vocabulary, thresholds: Mapping[str, float]
) -> Attributes:
    """Labels of one garment from its scores ``(L,)`` (or longer: the verdict is not read).

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
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)
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
        """Scores (N, outputs) float32 of prepared crops, in the order of `output_names`."""
        batch = torch.from_numpy(np.stack(squares)).to(self.device).permute(0, 3, 1, 2).float()
        batch = ((batch - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        return group_probabilities(self.model(batch), self.vocabulary).cpu().numpy()

    def classify(
        self, squares: Sequence[np.ndarray], categories: Sequence[str]
    ) -> list[tuple[Attributes, float]]:
        """Attributes of prepared crops, and the chance (0 to 1) that each shows a garment at all.

        ``categories`` are the detector's.
        """
        if not squares:
            return []
        none = len(self.vocabulary.labels)
        return [
            (decide(row, category, self.vocabulary, self.thresholds), float(1 - row[none]))
            for row, category in zip(self.scores(squares), categories, strict=True)
        ]

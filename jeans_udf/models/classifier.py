"""Attribute classifier: a timm network over masked crops, in plain torch.

One linear layer (or fastai's head) gives a logit for each label of the vocabulary. Within an
exclusive group they are one softmax, in other groups each is a sigmoid. After them stands the
verdict, one softmax more: ``none`` (the crop shows no bottom garment) and the categories. It sees
the garment alone and larger than the detector does, so it tells what the detector mistook for a
garment. Its opinion on the category is not used: on validation photos the detector's is as good.

Classifiers of the original project's kind have no verdict, and a sigmoid for every label.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import timm
import torch
from PIL import Image
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.models.fastai_head import FastaiNet
from jeans_udf.vocabulary import Group, Vocabulary

Head = Literal["linear", "fastai"]
"""One linear layer on timm's own pooling, or `fastai_head`."""

Scoring = Literal["groups", "sigmoid"]
"""How scores come from logits: a softmax within each exclusive group and the verdict and sigmoids
elsewhere, or a sigmoid everywhere."""

GREY = 127
"""Value of the background: the middle, so that a mask's edge is no darker or lighter than it."""


NONE = "none"
"""Verdict on a crop that shows no garment of the vocabulary."""


def output_names(vocabulary: Vocabulary, *, verdict: bool = True) -> tuple[str, ...]:
    """Names of the logits, in order: the labels, then ``category:none``, ``category:jeans``, …

    A classifier without ``verdict`` has the labels alone.
    """
    if not verdict:
        return vocabulary.labels
    verdicts = (f"category:{name}" for name in (NONE, *vocabulary.categories))
    return (*vocabulary.labels, *verdicts)


def exclusive_spans(vocabulary: Vocabulary, *, verdict: bool = True) -> list[slice]:
    """Where the softmaxes of the output stand: exclusive groups, and the verdict (if any) last."""
    spans = [s for n, s in vocabulary.spans().items() if vocabulary.group(n).exclusive]
    if verdict:
        spans.append(slice(len(vocabulary.labels), len(output_names(vocabulary))))
    return spans


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


def build_classifier(
    backbone: str,
    vocabulary: Vocabulary,
    drop_rate: float = 0.0,
    head: Head = "linear",
    *,
    verdict: bool = True,
) -> nn.Module:
    """A timm network with a head to the logits of `output_names`, with fresh weights.

    ``drop_rate`` is that of the linear head; fastai's has its own. Raises `ConfigError` for a
    backbone that timm does not bring along (it would go to the network for some).
    """
    check_backbone(backbone)
    outputs = len(output_names(vocabulary, verdict=verdict))
    if head == "fastai":
        return FastaiNet(backbone, outputs)
    return timm.create_model(backbone, pretrained=False, num_classes=outputs, drop_rate=drop_rate)


def check_backbone(name: str) -> None:
    """Raise `ConfigError` unless ``name`` is a network of timm."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see timm.list_models()"
        raise ConfigError(f"backbone {name[:80]!r}: no such network in timm; {hint}")


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


def group_probabilities(
    logits: torch.Tensor, vocabulary: Vocabulary, scoring: Scoring = "groups"
) -> torch.Tensor:
    """Logits (N, outputs) to scores, as `Scoring` says; the verdict may be absent from them."""
    scores = torch.sigmoid(logits)
    if scoring == "groups":
        verdict = logits.shape[1] > len(vocabulary.labels)
        for span in exclusive_spans(vocabulary, verdict=verdict):
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
        verdict: bool = True,
        scoring: Scoring = "groups",
    ) -> None:
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)
        self.vocabulary = vocabulary
        self.size = size
        self.thresholds = dict(thresholds)
        self.device = device
        self.verdict = verdict
        self.scoring = scoring
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
        scores = group_probabilities(self.model(batch), self.vocabulary, self.scoring)
        return scores.cpu().numpy()

    def classify(
        self, squares: Sequence[np.ndarray], categories: Sequence[str]
    ) -> list[tuple[Attributes, float]]:
        """Attributes of prepared crops, and the chance (0 to 1) that each shows a garment at all.

        ``categories`` are the detector's. Without a verdict the chance is 1.
        """
        if not squares:
            return []
        none = len(self.vocabulary.labels)
        return [
            (
                decide(row, category, self.vocabulary, self.thresholds),
                float(1 - row[none]) if self.verdict else 1.0,
            )
            for row, category in zip(self.scores(squares), categories, strict=True)
        ]

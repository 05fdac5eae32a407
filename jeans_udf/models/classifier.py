"""Attribute classifier: a timm network over crops of garments, in plain torch.

One linear layer (or fastai's head) gives a logit for each label of the vocabulary. Within an
exclusive group they are one softmax, in other groups each is a sigmoid. After them stands the
verdict, one softmax more: ``none`` (the crop shows no bottom garment) and the categories. It sees
the garment alone and larger than the detector does; `combination` makes one answer of both.

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
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.models.attributes import Attributes, decide
from jeans_udf.models.fastai_head import FastaiNet
from jeans_udf.models.outputs import Scoring, group_probabilities, output_names
from jeans_udf.models.resizing import resize_as_fastai
from jeans_udf.models.views import View, cut_view, fit_square
from jeans_udf.vocabulary import Vocabulary

Head = Literal["linear", "fastai"]
"""One linear layer on timm's own pooling, or `fastai_head`."""


@dataclass(frozen=True)
class Judged:
    """What the classifier says of one crop: ``scores (L,)`` of labels, and its ``verdict``.

    ``verdict (1 + categories,)``: chances of ``none`` and of each category, sum 1; or None.
    """

    scores: np.ndarray
    verdict: np.ndarray | None


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


class Classifier:
    """A classifier ready to run: `prepare` on any thread, `judge` on batches."""

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
        view: View = "masked",
        input_size: int | None = None,
        temperatures: Mapping[str, float] | None = None,
        verdict: bool = True,
        scoring: Scoring = "groups",
    ) -> None:
        """As `bundle.ClassifierSpec` says."""
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)
        self.vocabulary = vocabulary
        self.view: View = view
        self.size, self.input_size = size, input_size or size
        self.thresholds = dict(thresholds)
        self.temperatures = dict(temperatures or {})
        self.device = device
        self.verdict = verdict
        self.scoring: Scoring = scoring
        self._mean = torch.tensor(mean, device=device).view(1, 3, 1, 1) * 255
        self._std = torch.tensor(std, device=device).view(1, 3, 1, 1) * 255

    def prepare(self, image: np.ndarray, mask: np.ndarray | None, box: np.ndarray) -> np.ndarray:
        """A garment of ``image (H, W, 3) uint8`` RGB as the model's input (size, size, 3) uint8.

        ``mask (H, W) bool`` or None, ``box (4,)`` XYXY pixels.
        """
        return fit_square(cut_view(image, mask, box, self.view), self.size)

    @torch.inference_mode()
    def logits(self, squares: Sequence[np.ndarray]) -> torch.Tensor:
        """Logits (N, outputs) float32 of prepared crops, in the order of `output_names`."""
        batch = torch.from_numpy(np.stack(squares)).to(self.device).permute(0, 3, 1, 2).float()
        if self.input_size != self.size:
            batch = resize_as_fastai(batch, self.input_size)
        batch = ((batch - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        logits: torch.Tensor = self.model(batch)
        return logits

    def scores(self, squares: Sequence[np.ndarray]) -> np.ndarray:
        """Calibrated scores (N, outputs) float32 of prepared crops."""
        scores = group_probabilities(
            self.logits(squares), self.vocabulary, self.scoring, self.temperatures
        )
        return scores.cpu().numpy()

    def judge(self, squares: Sequence[np.ndarray]) -> list[Judged]:
        """Scores of prepared crops, and of a classifier with a verdict what it says of each."""
        if not squares:
            return []
        labels = len(self.vocabulary.labels)
        return [
            Judged(row[:labels], row[labels:] if self.verdict else None)
            for row in self.scores(squares)
        ]

    def decide(self, judged: Judged, category: str) -> Attributes:
        """The attributes of a garment of ``category``."""
        return decide(judged.scores, category, self.vocabulary, self.thresholds)

"""Train the attribute classifier with fastai (the only module that imports it).

A `Learner` on multi-hot labels with a group-aware loss, one-cycle over all layers with a smaller
rate for the pretrained ones. A checkpoint at each epoch's end lets the same command resume.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.callback.schedule import fit_one_cycle  # noqa: F401  (adds Learner.fit_one_cycle)
from fastai.data.block import DataBlock, MultiCategoryBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter, Normalize
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.vision.augment import aug_transforms
from fastai.vision.data import ImageBlock
from safetensors.torch import load_file, save_file
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.labels import attribute_figures, decisions, fit_thresholds
from jeans_udf.models.classifier import (
    NONE,
    exclusive_spans,
    group_probabilities,
    output_names,
)
from jeans_udf.models.freezing import freeze_first
from jeans_udf.training.checkpoint import load_checkpoint, save_checkpoint
from jeans_udf.training.crops import Crop
from jeans_udf.training.progress import Progress
from jeans_udf.vocabulary import Vocabulary

MEAN = (127 / 255,) * 3
STD = (128 / 255,) * 3
"""As the backbone was pretrained."""


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained."""

    epochs: int = 20
    """Passes over the crops."""
    batch_size: int = 32
    """Crops a step."""
    learning_rate: float = 2e-3
    """Peak for the new layer; the pretrained ones get a fifth of it."""
    weight_decay: float = 0.05
    """AdamW's decoupled weight decay."""
    smoothing: float = 0.05
    """Label smoothing within exclusive groups: slim and straight, say, are often disputed."""
    drop_rate: float = 0.2
    """Dropout before the last layer."""
    freeze: int = 3
    """How many first parts stay as pretrained: 1 = the stem, 2 = and the first stage, ..."""
    seed: int = 0
    """Of the order, the augmentation and the fresh layer."""


class GroupLoss(nn.Module):
    """Cross-entropy within exclusive groups, binary cross-entropy for the other labels.

    Logits and multi-hot targets are (N, L). A row without a label in an exclusive group is unknown
    there and does not count.
    """

    def __init__(self, vocabulary: Vocabulary, smoothing: float) -> None:
        super().__init__()
        self.exclusive = exclusive_spans(vocabulary)
        spans = vocabulary.spans()
        self.multiple = [spans[group.name] for group in vocabulary.groups if not group.exclusive]
        # The last output before the verdict's categories: crops of nothing have no details.
        self.none = len(vocabulary.labels)
        self.smoothing = smoothing

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        total = logits.sum() * 0.0
        for span in self.exclusive:
            values, wanted = logits[:, span], targets[:, span].float()
            known = wanted.sum(1) > 0
            if known.any():
                total = total + nn.functional.cross_entropy(
                    values[known], wanted[known].argmax(1), label_smoothing=self.smoothing
                )
        garments = targets[:, self.none] == 0
        for span in self.multiple:
            if garments.any():
                values, wanted = logits[garments, span], targets[garments, span].float()
                # Several of a group's labels are true at once: together they weigh a quarter of
                # their number, about two exclusive groups for the eight details.
                total = total + 0.25 * wanted.shape[1] * (
                    nn.functional.binary_cross_entropy_with_logits(values, wanted)
                )
        return total


class _Keeper(Callback):
    """Checkpoint, history and progress at each epoch's end."""

    order = 90

    def __init__(self, output: Path, recipe: Recipe, vocabulary: Vocabulary, valid: Sequence[Crop]):
        super().__init__()
        self.output, self.recipe, self.vocabulary = output, recipe, vocabulary
        self.valid, self.first = valid, 0

    def before_fit(self) -> None:
        steps = len(self.dls.train)
        self.progress = Progress(
            self.n_epoch * steps, "crops", self.recipe.batch_size, done=self.first * steps
        )
        self.outputs: list[torch.Tensor] = []

    def before_validate(self) -> None:
        self.outputs = []

    def after_batch(self) -> None:
        if self.training:
            done = self.epoch * self.n_iter + self.iter + 1
            self.progress.update(done, f"epoch {self.epoch + 1}/{self.n_epoch} "
                                       f"loss {float(self.loss_grad):.3f}")
        else:
            self.outputs.append(self.pred.detach())

    def after_epoch(self) -> None:
        if self.epoch < self.first:
            return  # fastai skips through the epochs that a checkpoint has done
        scores = group_probabilities(torch.cat(self.outputs), self.vocabulary).numpy()
        figures = _figures(np.asarray(scores), self.valid, self.vocabulary)
        entry = {
            "epoch": self.epoch + 1,
            "train_loss": float(self.recorder.log[1]),
            "valid_loss": float(self.recorder.log[2]),
            "micro_f1": figures["micro_f1"],
            "macro_f1": figures["macro_f1"],
            "verdict": figures["verdict"],
        }
        with (self.output / "history.jsonl").open("a") as lines:
            lines.write(json.dumps(entry) + "\n")
        self.progress.note(f"epoch {entry['epoch']}: train {entry['train_loss']:.3f} valid "
                           f"{entry['valid_loss']:.3f} micro F1 {entry['micro_f1']:.3f} "
                           f"verdict {entry['verdict']}")
        save_checkpoint(self.output, {"model": self.model}, self.opt.opt,
                        {"epoch": self.epoch + 1, "recipe": asdict(self.recipe)})


def load_pretrained(model: nn.Module, file: Path) -> int:
    """Fill all but the last layer from a safetensors file; returns the number of tensors."""
    tensors, own = load_file(file), model.state_dict()
    matching = {k: v for k, v in tensors.items() if k in own and own[k].shape == v.shape}
    missing = [name for name in own if name not in matching and not name.startswith("classifier")]
    if missing:
        raise ConfigError(f"backbone weights {file}: lacks {len(missing)} tensors: {missing[:3]}")
    model.load_state_dict(matching, strict=False)
    return len(matching)


def train_classifier(
    model: nn.Module,
    train: Sequence[Crop],
    valid: Sequence[Crop],
    vocabulary: Vocabulary,
    *,
    recipe: Recipe,
    output: Path,
) -> dict[str, Any]:
    """Train ``model``; write weights, thresholds and metrics to ``output``; resumes there.

    Returns the metrics on ``valid``, whose thresholds are fitted on ``valid`` as well: judge the
    bundle on photos that neither saw.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    freeze_first(model, recipe.freeze)
    keeper = _Keeper(output, recipe, vocabulary, valid)
    learner = Learner(
        _loaders(train, valid, vocabulary, recipe),
        model.to(memory_format=torch.channels_last),
        loss_func=GroupLoss(vocabulary, recipe.smoothing),
        opt_func=partial(OptimWrapper, opt=torch.optim.AdamW),
        splitter=_splitter,
        wd=recipe.weight_decay,
        cbs=[keeper],
        default_cbs=True,
    )
    learner.create_opt()
    state = load_checkpoint(output, {"model": learner.model}, learner.opt.opt)
    start = state["epoch"] if state else 0
    keeper.first = start
    with learner.no_bar(), learner.no_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if start < recipe.epochs:
            rates = slice(recipe.learning_rate / 5, recipe.learning_rate)
            learner.fit_one_cycle(recipe.epochs, rates, start_epoch=start)
        # A prediction raises the same events as an epoch of training.
        with learner.removed_cbs(keeper):
            logits, _ = learner.get_preds(dl=learner.dls.valid)
    scores = group_probabilities(logits, vocabulary).numpy()
    metrics = _figures(scores, valid, vocabulary)
    save_file({k: v.contiguous() for k, v in learner.model.state_dict().items()},
              output / "classifier.safetensors")
    (output / "thresholds.json").write_text(json.dumps(metrics["thresholds"], indent=1))
    (output / "metrics.json").write_text(json.dumps(metrics, indent=1))
    return metrics


def _loaders(
    train: Sequence[Crop], valid: Sequence[Crop], vocabulary: Vocabulary, recipe: Recipe
) -> DataLoaders:
    # Light is hardly changed: it is what tells a dark wash from a medium one. No warp: how wide a
    # leg is tells the fit.
    augment = aug_transforms(
        max_rotate=8.0,
        min_zoom=0.9,
        max_zoom=1.1,
        max_lighting=0.12,
        max_warp=0.0,
        pad_mode="border",
    )
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock(vocab=list(output_names(vocabulary)))),
        get_x=lambda crop: crop.file,
        get_y=lambda crop: crop.targets,
        splitter=IndexSplitter(range(len(train), len(train) + len(valid))),
        batch_tfms=[*augment, Normalize.from_stats(MEAN, STD, cuda=torch.cuda.is_available())],
    )
    return block.dataloaders([*train, *valid], bs=recipe.batch_size, num_workers=0)


def _splitter(model: Any) -> list[list[nn.Parameter]]:
    """Parameter groups for discriminative rates: the pretrained layers, the new one."""
    new = list(model.get_classifier().parameters())
    ids = {id(parameter) for parameter in new}
    pretrained = [p for p in model.parameters() if p.requires_grad and id(p) not in ids]
    return [pretrained, new]


def _figures(scores: np.ndarray, crops: Sequence[Crop], vocabulary: Vocabulary) -> dict[str, Any]:
    """Label figures on the garments of ``crops``, at thresholds fitted on them and told with them.

    ``verdict``: how often the category is right, and what share of the crops without garment is
    seen to be none.
    """
    names = np.array([NONE, *vocabulary.categories])
    verdicts = names[scores[:, len(vocabulary.labels) :].argmax(1)]
    categories = np.array([crop.category for crop in crops])
    real = categories != NONE
    garments = [crop for crop in crops if crop.category != NONE]
    truth = np.array([[name in crop.labels for name in vocabulary.labels] for crop in garments])
    thresholds = fit_thresholds(scores[real], truth, vocabulary)
    chosen = decisions(scores[real], list(categories[real]), vocabulary, thresholds)
    return attribute_figures(truth, chosen, vocabulary) | {
        "garments": len(garments),
        "thresholds": thresholds,
        "verdict": {
            "category_right": float((verdicts == categories)[real].mean()),
            "none_seen": float((verdicts == NONE)[~real].mean()) if (~real).any() else None,
            "garments_taken_for_none": float((verdicts == NONE)[real].mean()),
        },
    }

"""Train the attribute classifier with fastai (the only module that imports it).

A `Learner` on multi-hot labels goes through the phases of a recipe (``conf/classifiers``). A
checkpoint at each epoch's end lets the same command resume.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.schedule import fit_one_cycle, lr_find, valley  # noqa: F401  (of Learner)
from fastai.data.block import DataBlock, MultiCategoryBlock
from fastai.data.core import DataLoaders
from fastai.data.transforms import IndexSplitter, Normalize
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.vision.augment import aug_transforms
from fastai.vision.data import ImageBlock
from torch import nn

from jeans_udf.evaluation.plots import plot_rates
from jeans_udf.models.classifier import output_names
from jeans_udf.models.stages import stages
from jeans_udf.training.checkpoint import load_checkpoint
from jeans_udf.training.classifier_keeper import Keeper
from jeans_udf.training.classifier_recipe import ClassifierRecipe, Phase
from jeans_udf.training.crops import Crop
from jeans_udf.training.label_loss import BinaryLoss, GroupLoss, rarity_weights
from jeans_udf.vocabulary import Vocabulary


@dataclass(frozen=True)
class Data:
    """Crops to learn from and to be judged on, and what they may be called."""

    train: Sequence[Crop]
    valid: Sequence[Crop]
    vocabulary: Vocabulary
    mean: tuple[float, float, float]
    """Of the network's input, RGB, 0 to 1; what its backbone was pretrained with."""
    std: tuple[float, float, float]


@dataclass(frozen=True)
class Trained:
    """What a training gives: the network, its logits on the validation crops, the rates found."""

    model: nn.Module
    logits: np.ndarray
    """(N, outputs) float32, in the order of the validation crops."""
    batch: np.ndarray
    """(B, size, size, 3) uint8 RGB: training crops as the network saw them, augmented."""


def train_classifier(
    model: nn.Module, data: Data, recipe: ClassifierRecipe, output: Path, seed: int = 0
) -> Trained:
    """Train ``model`` by ``recipe``; checkpoints and ``history.jsonl`` go to ``output``.

    Raises `ConfigError` when ``output`` was begun with another recipe.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    for part in stages(model)[: recipe.freeze_first]:
        part.requires_grad_(False)
    keeper = Keeper(output, recipe, data.valid, data.vocabulary, seed)
    learner = _learner(model, data, recipe, output, keeper)
    load_checkpoint(output, {"model": learner.model}, learner.opt.opt)
    with _quiet(learner):
        for number, phase in enumerate(recipe.phases):
            if number >= keeper.phase:
                _run_phase(learner, data, phase, number, keeper)
        # A prediction raises the same events as an epoch of training.
        with learner.removed_cbs(keeper):
            batch = _as_seen(learner, data)
            logits, _ = learner.get_preds(dl=learner.dls.valid, act=nn.Identity())
    return Trained(learner.model, logits.numpy().astype(np.float32), batch)


def _learner(
    model: nn.Module, data: Data, recipe: ClassifierRecipe, output: Path, keeper: Keeper
) -> Learner:
    loaders = _loaders(data, recipe, recipe.phases[0].size)
    names = list(_outputs(data.vocabulary, recipe))
    targets = np.array([[n in crop.targets for n in names] for crop in data.train])
    weights = rarity_weights(targets, recipe.balance)
    loss = (
        GroupLoss(data.vocabulary, recipe.smoothing, weights)
        if recipe.loss == "groups"
        else BinaryLoss(weights)
    )
    learner = Learner(
        loaders,
        model.to(memory_format=torch.channels_last),
        loss_func=loss,
        # torch's AdamW as fastai sets its own Adam; its moments can be saved without a pickle.
        opt_func=partial(OptimWrapper, opt=partial(torch.optim.AdamW, betas=(0.9, 0.99), eps=1e-5)),
        splitter=_splitter,
        wd=recipe.weight_decay,
        cbs=[keeper],
        path=output,
    )
    learner.create_opt()
    return learner


def _run_phase(
    learner: Learner, data: Data, phase: Phase, number: int, keeper: Keeper
) -> None:
    """The epochs of ``phase`` that are not done yet."""
    start = keeper.epoch if number == keeper.phase else 0
    learner.dls = _loaders(data, keeper.recipe, phase.size)
    if phase.frozen:
        learner.freeze()
    else:
        learner.unfreeze()
    if start:
        # Freezing has cleared the moments.
        load_checkpoint(keeper.output, {"model": learner.model}, learner.opt.opt)
    elif phase.rate == "find":
        with learner.removed_cbs(keeper):
            keeper.found = _find_rate(learner, keeper.output / f"learning_rate_{number + 1}.png")
    peak = phase.rate if isinstance(phase.rate, float) else keeper.found
    rate: float | slice = peak / phase.divide
    if phase.lowest is not None:
        rate = slice(phase.lowest, rate)
    keeper.begin(number, start, len(learner.dls.train))
    learner.fit_one_cycle(
        phase.epochs, rate, pct_start=phase.pct_start, div=phase.div, start_epoch=start
    )


def _find_rate(learner: Learner, plot: Path) -> float:
    """fastai's finder and its ``valley``; the learner stays as it was. Writes ``plot`` (PNG)."""
    found = float(learner.lr_find(suggest_funcs=valley, show_plot=False).valley)
    plot_rates(learner.recorder.lrs, [float(v) for v in learner.recorder.losses], found, plot)
    return found


def _loaders(data: Data, recipe: ClassifierRecipe, size: int) -> DataLoaders:
    smaller = {"size": size} if size < recipe.cut_size else {}
    augment = aug_transforms(**recipe.augment.arguments(), **smaller)
    normalize = Normalize.from_stats(data.mean, data.std, cuda=torch.cuda.is_available())
    names = _outputs(data.vocabulary, recipe)
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock(vocab=list(names))),
        get_x=lambda crop: crop.file,
        get_y=lambda crop: [name for name in crop.targets if name in names],
        splitter=IndexSplitter(range(len(data.train), len(data.train) + len(data.valid))),
        batch_tfms=[*augment, normalize],
    )
    return block.dataloaders([*data.train, *data.valid], bs=recipe.batch_size, num_workers=0)


def _outputs(vocabulary: Vocabulary, recipe: ClassifierRecipe) -> tuple[str, ...]:
    return output_names(vocabulary, verdict=recipe.has_verdict)


def _splitter(model: Any) -> list[list[nn.Parameter]]:
    """Groups for discriminative rates: the first two thirds of the body, its rest, the head.

    That is where fastai parts a ResNet. Parameters that stay as pretrained are in none.
    """
    *body, head = stages(model)
    cut = len(body) * 2 // 3
    groups = [body[:cut], body[cut:], [head]]
    return [
        [p for part in parts for p in part.parameters() if p.requires_grad] for parts in groups
    ]


def _as_seen(learner: Learner, data: Data) -> np.ndarray:
    """(B, size, size, 3) uint8 RGB: the first training crops, augmented."""
    pixels, _ = learner.dls.train.one_batch()
    mean = torch.tensor(data.mean).view(3, 1, 1)
    std = torch.tensor(data.std).view(3, 1, 1)
    shown = (pixels.cpu().as_subclass(torch.Tensor) * std + mean).clamp(0, 1) * 255
    return shown.round().byte().permute(0, 2, 3, 1).numpy()


@contextmanager
def _quiet(learner: Learner) -> Iterator[None]:
    with learner.no_bar(), learner.no_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

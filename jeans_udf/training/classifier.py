"""Train the attribute classifier with fastai: a `Learner` through the phases of a recipe.

A checkpoint at each epoch's end lets the same command resume. What comes out is a plain torch
network and its logits; `classifier_run` makes a run folder of them.
"""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.schedule import fit_one_cycle, lr_find, valley  # noqa: F401  (of Learner)
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from torch import nn
from torch.optim.swa_utils import update_bn

from jeans_udf.evaluation.plots import plot_rates
from jeans_udf.models.freezing import freeze_first
from jeans_udf.models.mirrored import Mirrored
from jeans_udf.models.stages import stages
from jeans_udf.training.averaging import mean_weights
from jeans_udf.training.checkpoint import load_checkpoint
from jeans_udf.training.classifier_data import CropSets, make_loaders, pictures_of_batch, targets
from jeans_udf.training.classifier_keeper import Keeper
from jeans_udf.training.classifier_recipe import ClassifierRecipe, Phase
from jeans_udf.training.label_loss import BinaryLoss, GroupLoss, rarity_weights


@dataclass(frozen=True)
class Trained:
    """What a training gives: the network, and what it says of the validation crops."""

    model: nn.Module
    logits: np.ndarray
    """(N, outputs) float32, in the order of the validation crops."""
    losses: np.ndarray
    """(N,) float32: the loss of each of them by itself."""
    batch: tuple[np.ndarray, np.ndarray]
    """(B, size, size, 3) uint8 RGB: training crops as the network saw them; (B, outputs) bool."""


def train_classifier(
    model: nn.Module, sets: CropSets, recipe: ClassifierRecipe, output: Path, seed: int = 0
) -> Trained:
    """Train ``model`` by ``recipe``; checkpoints and ``history.jsonl`` go to ``output``.

    With several members each has its folder there, and its order of crops; the mean of their
    weights is what comes out. Raises `ConfigError` when ``output`` was begun with another recipe.
    """
    places = member_folders(output, recipe)
    learners = [
        train_member(copy.deepcopy(model), sets, recipe, place, seed + number)
        for number, place in enumerate(places)
    ]
    learner = learners[-1]
    if len(learners) > 1:
        learner.model.load_state_dict(mean_weights([each.model.state_dict() for each in learners]))
        # The mean's activations are not the mean of the activations.
        torch.manual_seed(seed)
        with torch.inference_mode():
            update_bn(_pictures(learner), learner.model)
    network = learner.model
    # As it will be asked: temperatures and thresholds are fitted on these answers.
    learner.model = Mirrored(network) if recipe.mirrored else network
    with _quiet(learner):
        batch = pictures_of_batch(learner.dls, sets)
        logits, wanted = learner.get_preds(dl=learner.dls.valid, act=nn.Identity())
    with torch.inference_mode():
        losses = [
            float(learner.loss_func(logits[k : k + 1], wanted[k : k + 1]))
            for k in range(len(logits))
        ]
    return Trained(
        network, logits.numpy().astype(np.float32), np.array(losses, np.float32), batch
    )


def member_folders(output: Path, recipe: ClassifierRecipe) -> list[Path]:
    """Where each member keeps its checkpoint and history: a lone one in ``output`` itself."""
    if recipe.members == 1:
        return [output]
    return [output / f"member_{number}" for number in range(1, recipe.members + 1)]


def train_member(
    model: nn.Module, sets: CropSets, recipe: ClassifierRecipe, output: Path, seed: int
) -> Learner:
    """Train ``model`` in place, going on from the checkpoint in ``output`` if there is one."""
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    random.seed(seed)
    freeze_first(getattr(model, "body", model), recipe.freeze_first)
    keeper = Keeper(output, recipe, sets, seed)
    learner = _learner(model, sets, recipe, output, keeper)
    load_checkpoint(output, {"model": learner.model}, learner.opt.opt)
    with _quiet(learner):
        for number, phase in enumerate(recipe.phases):
            if number >= keeper.phase:
                _run_phase(learner, sets, phase, number, keeper)
    learner.dls = make_loaders(sets, recipe, recipe.phases[-1].size)
    # A prediction raises the same events as an epoch of training.
    learner.remove_cb(keeper)
    return learner


def _pictures(learner: Learner) -> Iterator[torch.Tensor]:
    """Training pictures as plain tensors, batch after batch."""
    for pixels, _ in learner.dls.train:
        yield pixels.as_subclass(torch.Tensor)


def _learner(
    model: nn.Module, sets: CropSets, recipe: ClassifierRecipe, output: Path, keeper: Keeper
) -> Learner:
    weights = rarity_weights(targets(sets.train, sets.vocabulary, recipe), recipe.balance)
    loss = (
        GroupLoss(sets.vocabulary, recipe.smoothing, weights)
        if recipe.loss == "groups"
        else BinaryLoss(weights)
    )
    learner = Learner(
        make_loaders(sets, recipe, recipe.phases[0].size),
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
    learner: Learner, sets: CropSets, phase: Phase, number: int, keeper: Keeper
) -> None:
    """The epochs of ``phase`` that are not done yet."""
    start = keeper.epoch if number == keeper.phase else 0
    learner.dls = make_loaders(sets, keeper.recipe, phase.size)
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
    keeper.begin(number, start, len(learner.dls.train))
    learner.fit_one_cycle(
        phase.epochs,
        slice(phase.lowest, peak / phase.divide),
        pct_start=phase.pct_start,
        div=phase.div,
        start_epoch=start,
    )


def _find_rate(learner: Learner, plot: Path) -> float:
    """fastai's finder and its ``valley``; the learner stays as it was. Writes ``plot`` (PNG)."""
    found = float(learner.lr_find(suggest_funcs=valley, show_plot=False).valley)
    plot_rates(learner.recorder.lrs, [float(v) for v in learner.recorder.losses], found, plot)
    return found


def _splitter(model: Any) -> list[list[nn.Parameter]]:
    """Groups for discriminative rates: the first two thirds of the body, its rest, the head.

    About where fastai parts a ResNet. Parameters that stay as pretrained are in none.
    """
    *body, head = stages(model)
    cut = len(body) * 2 // 3
    groups = [body[:cut], body[cut:], [head]]
    return [
        [p for part in parts for p in part.parameters() if p.requires_grad] for parts in groups
    ]


@contextmanager
def _quiet(learner: Learner) -> Iterator[None]:
    with learner.no_bar(), learner.no_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

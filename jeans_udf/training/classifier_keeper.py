"""What a classifier's training keeps while it runs: checkpoint, history, progress."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from fastai.callback.core import Callback

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.labels import f_beta
from jeans_udf.training.checkpoint import read_state, save_checkpoint
from jeans_udf.training.classifier_data import CropSets, targets
from jeans_udf.training.classifier_recipe import ClassifierRecipe
from jeans_udf.training.progress import Progress

LATER = {"about", "members", "mirrored"}
"""Fields of a recipe that no single training hangs on."""


class Keeper(Callback):
    """Where the training stands: ``phase`` and ``epoch`` (both from 0) are the next to be done."""

    order = 90

    def __init__(self, output: Path, recipe: ClassifierRecipe, sets: CropSets, seed: int) -> None:
        """Raises `ConfigError` when ``output`` was begun with another recipe or seed."""
        super().__init__()
        self.output, self.recipe, self.seed = output, recipe, seed
        labels = len(sets.vocabulary.labels)
        self.truth = targets(sets.valid, sets.vocabulary, recipe)[:, :labels]
        state = read_state(output) or {}
        self.settings = {"recipe": recipe.model_dump(mode="json", exclude=LATER), "seed": seed}
        if state and state["settings"] != self.settings:
            raise ConfigError(
                f"{output}: begun with another recipe or seed; go on with the old one, or name "
                "another --output"
            )
        self.phase, self.epoch = state.get("phase", 0), state.get("epoch", 0)
        self.found: float = state.get("found", float("nan"))
        self.running = 0

    def begin(self, phase: int, start: int, steps: int) -> None:
        """``phase`` starts at epoch ``start``; an epoch has ``steps`` steps."""
        self.running, self.first = phase, start
        epochs = self.recipe.phases[phase].epochs
        self.progress = Progress(
            epochs * steps, "crops", self.recipe.batch_size, done=start * steps
        )

    def before_validate(self) -> None:
        self.outputs: list[torch.Tensor] = []

    def after_batch(self) -> None:
        if not self.training:
            self.outputs.append(self.pred.detach().cpu())
            return
        done = self.epoch_now * self.n_iter + self.iter + 1
        self.progress.update(
            done,
            f"phase {self.running + 1}/{len(self.recipe.phases)} "
            f"epoch {self.epoch_now + 1}/{self.n_epoch} loss {float(self.loss_grad):.3f}",
        )

    @property
    def epoch_now(self) -> int:
        return int(self.learn.epoch)

    def after_epoch(self) -> None:
        if self.epoch_now < self.first:
            return  # fastai skips through the epochs that a checkpoint has done
        logits = torch.cat(self.outputs)[:, : self.truth.shape[1]]
        said = torch.sigmoid(logits).numpy() >= self.recipe.threshold
        entry = {
            "phase": self.running + 1,
            "epoch": self.epoch_now + 1,
            "train_loss": float(self.learn.recorder.log[1]),
            "valid_loss": float(self.learn.recorder.log[2]),
            "accuracy_multi": float((said == self.truth).mean()),
            "f_beta": f_beta(self.truth, said, 2.0),
        }
        with (self.output / "history.jsonl").open("a") as lines:
            lines.write(json.dumps(entry) + "\n")
        self.progress.note(
            f"phase {entry['phase']} epoch {entry['epoch']}: train {entry['train_loss']:.3f} "
            f"valid {entry['valid_loss']:.3f}, at {self.recipe.threshold}: accuracy_multi "
            f"{entry['accuracy_multi']:.3f} F-beta {entry['f_beta']:.3f}"
        )
        last = self.epoch_now + 1 == self.recipe.phases[self.running].epochs
        save_checkpoint(
            self.output, {"model": self.model}, self.opt.opt,
            {"settings": self.settings, "found": self.found,
             "phase": self.running + last, "epoch": 0 if last else self.epoch_now + 1},
        )  # fmt: skip

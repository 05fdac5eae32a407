"""Train a Detectron2 detector: AdamW, averaged weights, the best epoch kept, resume at every epoch.

Plain loop instead of Detectron2's trainer, since that one keeps its state in pickles.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.strict_json import json_text, write_json
from jeans_udf.training.checkpoint import load_checkpoint, save_checkpoint
from jeans_udf.training.examples import Examples
from jeans_udf.training.progress import Progress
from jeans_udf.training.recipe import Recipe
from jeans_udf.training.steps import Trainer

Evaluate = Callable[[nn.Module], dict[str, Any]]
"""A model in, its figures on the validation photos out."""
MOST_SKIPPED = 50
"""Steps without a finite loss after which a training is given up."""


def train_detector(
    model: nn.Module,
    examples: Examples,
    evaluate: Evaluate,
    *,
    recipe: Recipe,
    output: Path,
    device: torch.device,
) -> dict[str, Any]:
    """Train ``model`` in place and write ``output``: weights, metrics.json, history.jsonl.

    ``detector.safetensors`` holds the averaged weights of the epoch that is best by `quality`,
    ``metrics.json`` their figures. Resumes from ``output/checkpoint`` when there is one. Returns
    the best metrics.
    """
    output.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(model, recipe, device)
    models = {"model": trainer.model, "average": trainer.average}
    state = load_checkpoint(output, models, trainer.optimizer) or {"epoch": 0, "step": 0}
    course = {"recipe": asdict(recipe), "sampling": asdict(examples.sampling)}
    check_same_course(state, course, output)
    steps = recipe.epochs * examples.steps
    examples.check()
    progress = Progress(steps, "photos", examples.sampling.batch_size, done=state["step"])
    for epoch in range(state["epoch"], recipe.epochs):
        state = _epoch(trainer, examples, epoch, state, progress)
        if epoch + 1 == recipe.epochs or (epoch + 1) % recipe.evaluate_every == 0:
            metrics = evaluate(trainer.average)
            progress.note(f"epoch {epoch + 1}: {headline(metrics)}")
            state["last"] = metrics
            if quality(metrics) >= state.get("best", -1.0):
                state["best"], state["best_epoch"] = quality(metrics), epoch + 1
                _keep(trainer.average, metrics | _course(state, model), output)
        _log(output, {k: v for k, v in state.items() if k in ("epoch", "step", "loss")}
             | state.pop("last", {}))  # fmt: skip
        save_checkpoint(output, models, trainer.optimizer, state | course)
    metrics = json.loads((output / "metrics.json").read_text())
    # The best epoch may be an early one; the time is the whole training's.
    metrics |= {key: round(state[key], 1) for key in ("training_seconds", "training_cpu_seconds")}
    write_json(output / "metrics.json", metrics)
    return dict(metrics)


def check_same_course(state: dict[str, Any], course: dict[str, Any], output: Path) -> None:
    """Raise `ConfigError` when ``output`` was begun with other settings than ``course``.

    The number of epochs may change, and how often is evaluated.
    """
    free = {"epochs", "evaluate_every"}
    for part, settings in course.items():
        before = state.get(part, settings)
        changed = [key for key in settings if key not in free and before.get(key) != settings[key]]
        if changed:
            told = ", ".join(f"{k} was {before.get(k)}, is {settings[k]}" for k in changed)
            raise ConfigError(f"{output}: begun with other settings ({told}); go on with the old "
                              "ones, or name a fresh --output")  # fmt: skip


def quality(metrics: dict[str, Any]) -> float:
    """What the best epoch is best by: mask AP, box AP without masks, or an RPN's recall."""
    if metrics.get("proposals"):
        return float(metrics["proposals"]["AR@100"])
    return float((metrics.get("segm") or metrics["bbox"])["AP"])


def headline(metrics: dict[str, Any]) -> str:
    """The figures of an epoch in one line."""
    if metrics.get("proposals"):
        return f"AR@100 {metrics['proposals']['AR@100']:.3f}"
    kind = "mask" if metrics.get("segm") else "box"
    figures = metrics.get("segm") or metrics["bbox"]
    by_category = " ".join(
        f"{key.removeprefix('AP50/')} {value:.2f}"
        for key, value in figures.items()
        if key.startswith("AP50/")
    )
    return (
        f"{kind} AP {figures['AP']:.3f} AP50 {figures['AP50']:.3f} ({by_category}), photos "
        f"without garments tagged at 0.5: {metrics['tagged_negatives']['0.5']:.1%}"
    )


def _epoch(
    trainer: Trainer, examples: Examples, epoch: int, state: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    recipe, step = trainer.recipe, state["step"]
    wall, cpu = time.monotonic(), time.process_time()
    losses: list[float] = []
    # Which boxes the heads sample is drawn by torch: the same after a resume.
    torch.manual_seed(recipe.seed * 100_003 + epoch)
    for batch in examples.batches(epoch):
        loss = trainer.step(batch, recipe.rate(step, recipe.epochs * examples.steps))
        losses.append(loss)
        if trainer.skipped > MOST_SKIPPED:
            raise ConfigError(
                f"training: the loss of {trainer.skipped} batches was not finite; lower "
                "--learning-rate (--find-rate proposes one) or use --precision float32"
            )
        step += 1
        progress.update(step, f"epoch {epoch + 1}/{recipe.epochs} loss {loss:.3f}")
    return state | {
        "epoch": epoch + 1,
        "step": step,
        "loss": float(np.nanmean(losses)),
        "training_seconds": state.get("training_seconds", 0.0) + time.monotonic() - wall,
        "training_cpu_seconds": state.get("training_cpu_seconds", 0.0) + time.process_time() - cpu,
    }


def _course(state: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    return {
        "best_epoch": state["best_epoch"],
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def _keep(average: nn.Module, metrics: dict[str, Any], output: Path) -> None:
    """Write the best weights so far; a crash in between leaves the old or the new ones whole."""
    tensors = {name: value.contiguous() for name, value in average.state_dict().items()}
    fresh = output / "detector.safetensors.new"
    save_file(tensors, fresh)
    fresh.replace(output / "detector.safetensors")
    write_json(output / "metrics.json", metrics)


def _log(output: Path, entry: dict[str, Any]) -> None:
    with (output / "history.jsonl").open("a") as lines:
        lines.write(json_text(entry) + "\n")

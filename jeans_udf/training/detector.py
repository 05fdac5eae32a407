"""Train a Detectron2 detector: AdamW, warm-up and cosine, averaged weights, resume at every epoch.

Plain loop instead of Detectron2's trainer, since that one keeps its state in pickles.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.utils.events import EventStorage
from safetensors.torch import load_file, save_file
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.detector import evaluate_detector
from jeans_udf.training.augment import Jitter
from jeans_udf.training.checkpoint import load_checkpoint, save_checkpoint
from jeans_udf.training.coco import Photo
from jeans_udf.training.examples import Examples
from jeans_udf.training.progress import Progress


@dataclass(frozen=True)
class Recipe:
    """How a detector is trained."""

    epochs: int = 20
    """Passes over the photos with garments (and a sample of the others)."""
    batch_size: int = 8
    """Photos a step."""
    learning_rate: float = 4e-4
    """Peak of AdamW's learning rate; a pretrained backbone gets a third of it."""
    weight_decay: float = 0.02
    """AdamW's decoupled weight decay."""
    warmup_steps: int = 200
    """Steps until the peak."""
    average: float = 0.998
    """Decay of the weights' moving average, which is what is evaluated and saved."""
    negatives: float = 0.4
    """Photos without garments in an epoch, relative to those with."""
    evaluate_every: int = 4
    """Epochs between two evaluations on the validation photos."""
    seed: int = 0
    """Of the order, the augmentation and the fresh weights."""


def load_backbone(model: nn.Module, file: Path) -> int:
    """Fill the timm part of ``model.backbone`` from a safetensors file; the number of tensors.

    Raises `ConfigError` when the file lacks a tensor of the network.
    """
    backbone: Any = model.backbone
    net = backbone.bottom_up.net
    tensors, wanted = load_file(file), net.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    if missing:
        raise ConfigError(f"backbone weights {file}: lacks {len(missing)} tensors: {missing[:3]}")
    net.load_state_dict({name: tensors[name] for name in wanted})
    return len(wanted)


def train_detector(
    model: nn.Module,
    train: Sequence[Photo],
    validation: Sequence[Photo],
    categories: Sequence[str],
    *,
    longest_side: int,
    recipe: Recipe,
    output: Path,
    device: torch.device,
) -> dict[str, Any]:
    """Train ``model`` in place and write ``output``: weights, metrics.json, history.jsonl.

    Resumes from ``output/checkpoint`` when there is one. Returns the last metrics.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    model.to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(_parameter_groups(model, recipe))
    state = load_checkpoint(output, {"model": model, "average": average}, optimizer)
    first, step = (state["epoch"], state["step"]) if state else (0, 0)
    examples = Examples(
        train,
        Jitter(longest_side),
        batch_size=recipe.batch_size,
        negatives=recipe.negatives,
        seed=recipe.seed,
    )
    steps = recipe.epochs * examples.steps
    progress = Progress(steps, "photos", recipe.batch_size, done=step)
    metrics: dict[str, Any] = {}
    for epoch in range(first, recipe.epochs):
        losses: list[float] = []
        for batch in examples.batches(epoch):
            _set_rate(optimizer, recipe, step, steps)
            losses.append(_step(model, average, optimizer, batch, recipe, device))
            step += 1
            progress.update(step, f"epoch {epoch + 1}/{recipe.epochs} loss {losses[-1]:.3f}")
        entry: dict[str, Any] = {"epoch": epoch + 1, "step": step, "loss": float(np.mean(losses))}
        last = epoch + 1 == recipe.epochs
        if last or (epoch + 1) % recipe.evaluate_every == 0:
            metrics = evaluate_detector(average, validation, categories, longest_side, device)
            entry |= metrics
            progress.note(f"epoch {epoch + 1}: " + _headline(metrics))
        with (output / "history.jsonl").open("a") as lines:
            lines.write(json.dumps(entry) + "\n")
        save_checkpoint(
            output,
            {"model": model, "average": average},
            optimizer,
            {"epoch": epoch + 1, "step": step, "recipe": asdict(recipe)},
        )
        save_file(_contiguous(average), output / "detector.safetensors")
    if not metrics:
        metrics = evaluate_detector(average, validation, categories, longest_side, device)
    (output / "metrics.json").write_text(json.dumps(metrics, indent=1))
    return metrics


def _parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    backbone: Any = model.backbone
    pretrained = {id(p) for p in backbone.bottom_up.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            key = (id(parameter) in pretrained, parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "scale": 1 / 3 if is_pretrained else 1.0,
            "lr": recipe.learning_rate,
            # Biases and norms are not decayed.
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (is_pretrained, decays), parameters in groups.items()
    ]


def _set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int, steps: int) -> None:
    warm = min(1.0, (step + 1) / recipe.warmup_steps)
    rate = recipe.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    for group in optimizer.param_groups:
        group["lr"] = max(rate, recipe.learning_rate * 0.01) * group["scale"]


def _step(
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: list[dict[str, Any]],
    recipe: Recipe,
    device: torch.device,
) -> float:
    model.train()
    inputs = [
        {"image": x["image"].to(device), "instances": x["instances"].to(device)} for x in batch
    ]
    # Detectron2's heads log their statistics to a storage and fail without one.
    with EventStorage():
        loss = sum(model(inputs).values())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    if torch.isfinite(loss):
        optimizer.step()
    with torch.no_grad():
        for mean, value in zip(average.parameters(), model.parameters(), strict=True):
            mean.lerp_(value, 1 - recipe.average)
    return float(loss.detach())


def _contiguous(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.contiguous() for name, value in model.state_dict().items()}


def _headline(metrics: dict[str, Any]) -> str:
    segm = metrics["segm"] or metrics["bbox"]
    return (
        f"AP50 {segm['AP50']:.3f} AP {segm['AP']:.3f} jeans AP50 "
        f"{segm.get('AP50/jeans', float('nan')):.3f}, photos without garments tagged at 0.5: "
        f"{metrics['tagged_negatives']['0.5']:.1%}"
    )

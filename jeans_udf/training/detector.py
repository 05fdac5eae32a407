"""Train a Detectron2 detector: AdamW, warm-up and cosine, averaged weights, resume at every epoch.

Plain loop instead of Detectron2's trainer, since that one keeps its state in pickles.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils.events import EventStorage
from pycocotools import mask as coco_mask
from safetensors.torch import load_file, save_file
from torch import nn

from jeans_udf.config import ImageLimits
from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.detection import average_precision, coco_truth, tagged_negatives
from jeans_udf.images import decode_image
from jeans_udf.models.detector import Detector, prepare_canvas
from jeans_udf.training.augment import Jitter, augment
from jeans_udf.training.checkpoint import load_checkpoint, save_checkpoint
from jeans_udf.training.coco import Photo
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
    jitter = Jitter(longest_side)
    steps = recipe.epochs * (len(_epoch(train, recipe, 0)) // recipe.batch_size)
    progress = Progress(steps, "photos", recipe.batch_size, done=step)
    metrics: dict[str, Any] = {}
    for epoch in range(first, recipe.epochs):
        losses: list[float] = []
        for batch in _batches(train, epoch, recipe, jitter):
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


def evaluate_detector(
    model: nn.Module,
    photos: Sequence[Photo],
    categories: Sequence[str],
    longest_side: int,
    device: torch.device,
) -> dict[str, Any]:
    """COCO box and mask AP on ``photos``, and how often photos without garments get one."""
    results = detect_photos(model, photos, longest_side, device)
    truth = coco_truth(photos, categories)
    masked = [row for row in results if "segmentation" in row]
    return {
        "photos": len(photos),
        "bbox": average_precision(truth, results, "bbox"),
        "segm": average_precision(truth, masked, "segm") if masked else None,
        "tagged_negatives": {
            str(t): tagged_negatives(photos, results, t) for t in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
        },
    }


def detect_photos(
    model: nn.Module,
    photos: Sequence[Photo],
    longest_side: int,
    device: torch.device,
    score_threshold: float = 0.05,
) -> list[dict[str, Any]]:
    """COCO result rows (category ids from 1, boxes XYWH, RLE masks) of every photo."""
    training = model.training
    detector = Detector(
        model,
        longest_side=longest_side,
        score_threshold=score_threshold,
        max_garments=20,
        device=device,
    )
    rows = []
    for photo in photos:
        canvas = detector.prepare(_pixels(photo.path))
        found = detector.detect([canvas])[0]
        height, width = canvas.original
        masks = found.full_masks(height, width)
        for index, (x1, y1, x2, y2) in enumerate(found.boxes.tolist()):
            row = {
                "image_id": photo.coco_id,
                "category_id": int(found.classes[index]) + 1,
                "score": float(found.scores[index]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
            }
            if masks is not None:
                rle = coco_mask.encode(np.asfortranarray(masks[index].astype(np.uint8)))
                row["segmentation"] = {"size": rle["size"], "counts": rle["counts"].decode()}
            rows.append(row)
    model.train(training)
    return rows


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
    return float(loss)


def _epoch(photos: Sequence[Photo], recipe: Recipe, epoch: int) -> list[Photo]:
    """The photos of an epoch in their order: all with garments, a sample of the others."""
    rng = np.random.default_rng((recipe.seed, epoch))
    positive = [photo for photo in photos if photo.classes]
    negative = [photo for photo in photos if not photo.classes]
    count = min(len(negative), round(recipe.negatives * len(positive)))
    chosen = positive + [negative[i] for i in rng.permutation(len(negative))[:count]]
    return [chosen[i] for i in rng.permutation(len(chosen))]


def _batches(
    photos: Sequence[Photo], epoch: int, recipe: Recipe, jitter: Jitter
) -> Iterator[list[dict[str, Any]]]:
    order = _epoch(photos, recipe, epoch)
    whole = len(order) // recipe.batch_size * recipe.batch_size
    with ThreadPoolExecutor(1) as pool:
        ahead: list[Any] = []
        for start in range(0, whole, recipe.batch_size):
            chunk = order[start : start + recipe.batch_size]
            ahead.append(pool.submit(_examples, chunk, (recipe.seed, epoch, start), jitter))
            if len(ahead) > 2:
                yield ahead.pop(0).result()
        for waiting in ahead:
            yield waiting.result()


def _examples(
    photos: Sequence[Photo], seed: tuple[int, ...], jitter: Jitter
) -> list[dict[str, Any]]:
    return [
        _example(photo, jitter, np.random.default_rng((*seed, k))) for k, photo in enumerate(photos)
    ]


def _example(photo: Photo, jitter: Jitter, rng: np.random.Generator) -> dict[str, Any]:
    """One training input of Detectron2: an RGB canvas and its instances."""
    image, masks = augment(_pixels(photo.path), photo.masks(), jitter, rng)
    canvas = prepare_canvas(image, max(image.shape[:2]))
    visible = masks.reshape(len(masks), -1).sum(1) >= 64 if len(masks) else np.zeros(0, dtype=bool)
    instances = Instances(image.shape[:2])
    kept = BitMasks(torch.from_numpy(masks[visible].reshape(-1, *image.shape[:2]).copy()))
    instances.gt_masks = kept
    instances.gt_boxes = kept.get_bounding_boxes() if len(kept) else Boxes(torch.zeros(0, 4))
    classes = np.asarray(photo.classes, dtype=np.int64)[visible]
    instances.gt_classes = torch.from_numpy(classes)
    return {"image": canvas.pixels, "instances": instances}


_LIMITS = ImageLimits()


def _pixels(path: Path) -> np.ndarray:
    return decode_image(path.read_bytes(), _LIMITS)


def _contiguous(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.contiguous() for name, value in model.state_dict().items()}


def _headline(metrics: dict[str, Any]) -> str:
    segm = metrics["segm"] or metrics["bbox"]
    return (
        f"AP50 {segm['AP50']:.3f} AP {segm['AP']:.3f} jeans AP50 "
        f"{segm.get('AP50/jeans', float('nan')):.3f}, photos without garments tagged at 0.5: "
        f"{metrics['tagged_negatives']['0.5']:.1%}"
    )

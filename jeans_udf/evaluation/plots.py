"""Plots of a training's course, as PNG beside the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def read_history(output: Path) -> list[dict[str, Any]]:
    """One object an epoch, in order; an epoch that was repeated after a resume counts once."""
    lines = (output / "history.jsonl").read_text().splitlines()
    by_epoch = {entry["epoch"]: entry for entry in map(json.loads, lines)}
    return [by_epoch[epoch] for epoch in sorted(by_epoch)]


def plot_detector_training(output: Path) -> Path:
    """``training.png``: the loss, and AP50 on the validation photos, by epoch."""
    history = read_history(output)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    left.plot([e["epoch"] for e in history], [e["loss"] for e in history])
    left.set(xlabel="epoch", ylabel="training loss")
    for kind in ("bbox", "segm"):
        points = [(e["epoch"], e[kind]["AP50"]) for e in history if e.get(kind)]
        if points:
            right.plot(*zip(*points, strict=True), marker="o", label=f"{kind} AP50")
    right.set(xlabel="epoch", ylabel="AP50 on validation photos", ylim=(0, 1))
    right.legend()
    return save_figure(figure, output / "training.png")


def plot_classifier_training(output: Path) -> Path:
    """``training.png``: losses, and micro F1 on the validation garments, by epoch."""
    history = read_history(output)
    epochs = [entry["epoch"] for entry in history]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for key in ("train_loss", "valid_loss"):
        left.plot(epochs, [entry[key] for entry in history], label=key.replace("_", " "))
    left.set(xlabel="epoch", ylabel="loss")
    left.legend()
    right.plot(epochs, [entry["micro_f1"] for entry in history], marker="o")
    right.set(xlabel="epoch", ylabel="micro F1 on validation garments", ylim=(0, 1))
    return save_figure(figure, output / "training.png")


def plot_label_scores(labels: dict[str, dict[str, float]], path: Path) -> Path:
    """Bars of F1 by label, with precision, recall and support written beside."""
    names = list(labels)[::-1]
    figure, axes = plt.subplots(figsize=(8, 0.3 * len(names) + 1))
    axes.barh(names, [labels[name]["f1"] for name in names])
    for row, name in enumerate(names):
        figures = labels[name]
        axes.text(
            1.01,
            row,
            f"P {figures['precision']:.2f} R {figures['recall']:.2f} n {figures['support']:.0f}",
            va="center",
            fontsize=8,
        )
    axes.set(xlim=(0, 1), xlabel="F1 on validation garments")
    return save_figure(figure, path)


def save_figure(figure: Any, path: Path) -> Path:
    """Write ``figure`` as PNG and let go of it."""
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return path

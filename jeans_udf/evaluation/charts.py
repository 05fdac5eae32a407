"""Plots of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator

from jeans_udf.evaluation.calibration import Bin
from jeans_udf.evaluation.curves import IOUS, Curve
from jeans_udf.evaluation.plots import ALARM, DENIM, INK, QUIET, plain, plt, save_figure
from jeans_udf.evaluation.thresholds import Step
from jeans_udf.report.colours import category_colours


def plot_curves(curves: Sequence[Curve], categories: Sequence[str], path: Path) -> Path:
    """Precision against recall by category, one panel an overlap."""
    colours = category_colours(categories)
    figure, panels = _panels(len(IOUS), 4.6, 4.2)
    for axes, iou in zip(panels, IOUS, strict=True):
        for curve in curves:
            if curve.iou == iou:
                axes.plot(curve.recall, curve.precision, label=_words(curve.category), lw=2,
                          color=colours[curve.category])  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="recall", ylabel="precision",
                 title=f"at an overlap of {iou}")  # fmt: skip
    # Outside: curves may run through any corner.
    panels[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    return save_figure(figure, path)


def plot_reliability(bins: Sequence[Bin], error: float, path: Path) -> Path:
    """Share of right detections by score, and how many there are of each."""
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(4.8, 5.6), sharex=True, height_ratios=(3, 1)
    )
    middle = [(each.low + each.high) / 2 for each in bins]
    width = 0.92 / len(bins)
    top.bar(middle, [each.right for each in bins], width=width, color=DENIM, label="share right")
    top.plot([0, 1], [0, 1], ls="--", color=INK, lw=1, label="what the score says")
    filled = [each for each in bins if each.count]
    top.plot([b.score for b in filled], [b.right for b in filled], "o", color=ALARM, ms=4,
             label="mean score of the bin")  # fmt: skip
    title = f"expected calibration error {error:.3f}" if filled else "no detections"
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share of right detections", title=title)
    top.legend(loc="upper left", frameon=False)
    bars = bottom.bar(middle, [each.count for each in bins], width=width, color=QUIET)
    bottom.bar_label(bars, fontsize=8)
    bottom.set(xlabel="score", ylabel="detections")
    bottom.margins(y=0.25)
    plain(top, bottom)
    return save_figure(figure, path)


def plot_calibration(
    before: Sequence[Bin], after: Sequence[Bin], errors: tuple[float, float], path: Path
) -> Path:
    """`plot_reliability` of a classifier's scores before and after a change, side by side.

    ``errors`` are the expected calibration errors of both; NaN where nothing was judged.
    """
    figure, panels = plt.subplots(
        2, 2, figsize=(9.2, 5.6), sharex=True, sharey="row", height_ratios=(3, 1)
    )
    sides = zip(("before", "after"), (before, after), errors, panels.T, strict=True)
    for name, bins, error, (top, bottom) in sides:
        filled = [each for each in bins if each.count]
        top.plot([0, 1], [0, 1], ls="--", color=INK, lw=1, label="what the score says")
        top.plot([b.score for b in filled], [b.right for b in filled], "o-", color=DENIM, lw=2,
                 ms=5, label="share that is true")  # fmt: skip
        words = f"expected calibration error {error:.3f}" if filled else "nothing was judged"
        top.set(xlim=(0, 1), ylim=(0, 1.02), title=f"{name}: {words}")
        middle = [(each.low + each.high) / 2 for each in bins]
        bars = bottom.bar(middle, [each.count for each in bins], width=0.92 / max(1, len(bins)),
                          color=QUIET)  # fmt: skip
        bottom.bar_label(bars, [_short(each.count) for each in bins], fontsize=8)
        bottom.set(xlabel="score")
        bottom.margins(y=0.25)
    panels[0, 0].set_ylabel("share of labels that is true")
    panels[0, 0].legend(loc="upper left", frameon=False)
    panels[1, 0].set_ylabel("labels")
    plain(*panels.flat)
    return save_figure(figure, path)


def plot_confusion(table: np.ndarray, categories: Sequence[str], path: Path) -> Path:
    """Counts, coloured by their share of the row; see `confusion`."""
    names = [_words(name) for name in categories]
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.75 * len(table)
    figure, axes = plt.subplots(figsize=(side + 0.6, side))
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*table.shape):
        # Nothing detected on no garment cannot be counted.
        if (row, column) != (len(categories), len(categories)):
            axes.text(column, row, str(table[row, column]), ha="center", va="center",
                      color="white" if share[row, column] > 0.6 else INK)  # fmt: skip
    axes.set_xticks(range(len(table)), [*names, "missed"], rotation=35, ha="right")
    axes.set_yticks(range(len(table)), [*names, "background"])
    axes.set(xlabel="detected as", ylabel="truth")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return save_figure(figure, path)


def plot_thresholds(steps: Sequence[Step], used: Sequence[float], path: Path) -> Path:
    """Precision, recall, F1 and tagged photos without garments by threshold; ``used`` marked."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    x = [step.threshold for step in steps]
    axes.plot(x, [step.precision for step in steps], color=DENIM, lw=2, label="precision")
    axes.plot(x, [step.recall for step in steps], color="#0f766e", lw=2, label="recall")
    axes.plot(x, [step.f1 for step in steps], color=INK, lw=2, label="F1")
    axes.plot(x, [step.tagged_negatives for step in steps], color=ALARM, lw=2, ls="--",
              label="photos without garments\nthat get one")  # fmt: skip
    for value in sorted(set(used)):
        axes.axvline(value, color=QUIET, lw=1.2, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="score threshold (grey: the model's)")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    plain(axes)
    return save_figure(figure, path)


def plot_categories(
    kinds: Mapping[str, Mapping[str, float]], categories: Sequence[str], path: Path
) -> Path:
    """AP (bars) and AP50 (ticks) by category, boxes and masks beside each other."""
    figure, axes = plt.subplots(figsize=(7, 0.6 * len(categories) + 1.4))
    height = 0.8 / max(1, len(kinds))
    for number, (kind, figures) in enumerate(kinds.items()):
        y = np.arange(len(categories)) + (number - (len(kinds) - 1) / 2) * height
        colour = (DENIM, "#7b9cc4")[number % 2]
        axes.barh(y, [figures[f"AP/{name}"] for name in categories], height=0.9 * height,
                  color=colour, label=f"{kind} AP")  # fmt: skip
        axes.plot([figures[f"AP50/{name}"] for name in categories], y, "|", color=INK, ms=12,
                  mew=2, label="AP50" if number == 0 else None)  # fmt: skip
    axes.set_yticks(range(len(categories)), [_words(name) for name in categories])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="average precision")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    plain(axes)
    return save_figure(figure, path)


def plot_recall(recall: Mapping[int, Mapping[str, float]], path: Path) -> Path:
    """Recall of proposals by how many of a photo are taken."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    counts = list(recall)
    for name, colour in (("AR50", DENIM), ("AR", INK)):
        label = "at an overlap of 0.5" if name == "AR50" else "mean of overlaps 0.5 to 0.95"
        axes.plot(counts, [recall[count][name] for count in counts], "o-", lw=2, color=colour,
                  label=label)  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set(ylim=(0, 1.02), xlabel="proposals of a photo, best first", ylabel="recall")
    axes.legend(loc="lower right", frameon=False)
    plain(axes)
    return save_figure(figure, path)


def plot_comparison(points: Sequence[tuple[str, float, float]], path: Path) -> Path:
    """``(name, photos a second, AP)`` of detectors, as a cloud."""
    figure, axes = plt.subplots(figsize=(6.8, 4.4))
    for number, (name, speed, precision) in enumerate(sorted(points, key=lambda each: each[1])):
        axes.plot(speed, precision, "o", color=DENIM, ms=8)
        # In turns above and below: neighbours are often of one speed.
        place = (7, -15 if number % 2 else 6)
        axes.annotate(name, (speed, precision), xytext=place, textcoords="offset points")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.25, y=0.2)
    axes.set(xlabel="photos a second, one at a time", ylabel="box AP")
    plain(axes)
    return save_figure(figure, path)


def _panels(count: int, width: float, height: float) -> tuple[Any, list[Any]]:
    figure, panels = plt.subplots(1, count, figsize=(width * count, height), squeeze=False)
    plain(*panels[0])
    return figure, list(panels[0])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _short(count: int) -> str:
    return f"{count:,}" if count < 10_000 else f"{count / 1000:,.0f}k"

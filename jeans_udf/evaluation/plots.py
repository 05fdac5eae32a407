"""Plots of a training's course, as PNG beside the weights."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from jeans_udf.errors import ConfigError
from jeans_udf.report.page import plain_text

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402

DENIM, ALARM, QUIET, INK = "#2f5483", "#a3302a", "#b9c1cc", "#1c2430"
"""Colours of the report's page."""
PALE = "#7b9cc4"
"""Beside denim, of what matters less."""
SERIES = (DENIM, "#c2410c", "#0f766e", "#7c3aed", "#a16207", "#be185d")
"""Colours of groups of labels; of more groups than these some share one."""
MOST_LABELS = 150
"""Bars of a plot; of a vocabulary with more, the labels with most garments are shown."""


def read_history(output: Path) -> list[dict[str, Any]]:
    """One object an epoch, in order of phase (if there are any) and epoch, both from 1.

    An epoch that was repeated after a resume counts once, as it was last. A line that is no epoch
    is passed over: a crash may have cut it off. Raises `ConfigError` without any epoch.
    """
    file = output / "history.jsonl"
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(f"history {file}: cannot be read ({error.strerror})") from None
    entries = [entry for entry in map(_epoch, lines) if entry is not None]
    if not entries:
        raise ConfigError(
            f"history {file}: got {len(lines)} lines, none of which tells of an epoch; train first"
        )
    by_place = {(entry.get("phase", 0), entry["epoch"]): entry for entry in entries}
    return [by_place[place] for place in sorted(by_place)]


def plot_detector_training(output: Path) -> Path:
    """``training.png``: the loss, and AP50 on the validation photos, by epoch."""
    history = read_history(output)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    left.plot([e["epoch"] for e in history], [_number(e.get("loss")) for e in history])
    left.set(xlabel="epoch", ylabel="training loss")
    for kind in ("bbox", "segm"):
        points = [(e["epoch"], e[kind]["AP50"]) for e in history if e.get(kind)]
        if points:
            right.plot(*zip(*points, strict=True), marker="o", label=f"{kind} AP50")
    right.set(xlabel="epoch", ylabel="AP50 on validation photos", ylim=(0, 1))
    right.legend()
    return save_figure(figure, output / "training.png")


def plot_classifier_training(output: Path) -> Path:
    """``training.png``: losses, F-beta and accuracy by epoch, counted through all phases."""
    history = read_history(output)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    epochs = range(1, len(history) + 1)
    lines = (
        (left, "train_loss", "training loss", PALE),
        (left, "valid_loss", "validation loss", DENIM),
        (right, "accuracy_multi", "accuracy_multi", PALE),
        (right, "f_beta", "F-beta", DENIM),
    )
    for axes, key, name, colour in lines:
        values = [_number(entry.get(key)) for entry in history]
        last = next((value for value in reversed(values) if math.isfinite(value)), math.nan)
        axes.plot(epochs, values, "o-", color=colour, lw=2, ms=4, label=f"{name} {last:.3f}")
    left.set(ylabel="loss")
    right.set(ylabel="on validation garments", ylim=(0, 1.02))
    for axes in (left, right):
        axes.set(xlabel="epoch", xlim=(0.5, len(history) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _mark_phases(axes, [entry.get("phase", 0) for entry in history])
        # White below it: it may lie on the lines between phases.
        axes.legend(title="at the end", alignment="left", edgecolor="none", framealpha=0.9)
    plain(left, right)
    return save_figure(figure, output / "training.png")


def plot_rates(rates: Sequence[float], losses: Sequence[float], found: float, path: Path) -> Path:
    """Smoothed loss by learning rate, as a finder went through them, ``found`` marked.

    A loss that grows beyond all before its least leaves the plot at the top; one that is no number
    is a gap.
    """
    x, y = np.asarray(rates, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    low, high = _readable(y)
    figure, axes = plt.subplots(figsize=(7, 4.4))
    # Infinity would be a gap, and not the steep line that it stands for.
    axes.plot(x, np.minimum(y, high + 10 * (high - low)), color=DENIM, lw=2)
    words = "no learning rate found"
    if math.isfinite(found) and found > 0:
        words = f"learning rate found: {found:.1e}"
        axes.axvline(found, color=ALARM, lw=1.2, ls="--")
        known = np.isfinite(y)
        if known.any():
            axes.plot(found, np.interp(found, x[known], y[known]), "o", color=ALARM, ms=7)
    axes.set_xscale("log")
    axes.set(ylim=(low, high), xlabel="learning rate", ylabel="training loss, smoothed")
    axes.set_title(words, color=ALARM, loc="left")
    plain(axes)
    return save_figure(figure, path)


def plot_label_scores(
    labels: Mapping[str, Mapping[str, float | None]],
    path: Path,
    groups: Mapping[str, str] | None = None,
) -> Path:
    """Bars of F1 by label, with precision, recall, support and threshold written beside.

    ``labels`` holds ``precision``, ``recall``, ``f1``, ``support`` and, if there is one,
    ``threshold``; what cannot be told, NaN or None, is a dash. ``groups`` gives a label's group, by
    which the bars are coloured.
    """
    most = sorted(labels, key=lambda name: -(labels[name]["support"] or 0))[:MOST_LABELS]
    names = [name for name in labels if name in set(most)]
    group_of = [(groups or {}).get(name, "") for name in names]
    colours = {kind: SERIES[k % len(SERIES)] for k, kind in enumerate(dict.fromkeys(group_of))}
    figure, axes = plt.subplots(figsize=(9.5, 0.3 * len(names) + 1.4))
    axes.barh(range(len(names)), [np.nan_to_num(_number(labels[name]["f1"])) for name in names],
              color=[colours[kind] for kind in group_of], height=0.72)  # fmt: skip
    axes.set_yticks(range(len(names)), [_words(name) for name in names], parse_math=False)
    axes.set(xlim=(0, 1), ylim=(max(len(names), 1) - 0.4, -1.4))
    shown = f", {len(names)} of {len(labels):,} labels" if len(names) < len(labels) else ""
    axes.set_xlabel(f"F1 on validation garments{shown}" if names else "there are no labels")
    _write_figures(axes, [labels[name] for name in names])
    if any(colours):
        patches = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours.values()]
        legend = axes.legend(patches, [_words(kind) or "other" for kind in colours], ncols=5,
                             loc="lower left", bbox_to_anchor=(0, 1), frameon=False)  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
    plain(axes)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    return save_figure(figure, path)


def plain(*all_axes: Any) -> None:
    """A faint grid, and no frame above and at the right."""
    for axes in all_axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e3e6ea", lw=0.8)
        axes.set_axisbelow(True)


def save_figure(figure: Any, path: Path) -> Path:
    """Write ``figure`` as PNG and let go of it."""
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return path


def _epoch(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    places = (entry.get("phase", 0), entry.get("epoch"))
    return entry if all(type(place) is int for place in places) else None


def _number(value: Any) -> float:
    """NaN for what is none: a loss that is no number is null in strict JSON."""
    return float(value) if isinstance(value, int | float) else math.nan


def _mark_phases(axes: Any, phases: Sequence[int]) -> None:
    """A thin line before each phase but the first, and each one's name; nothing for one phase."""
    starts = [k for k in range(len(phases)) if k == 0 or phases[k] != phases[k - 1]]
    if len(starts) < 2:
        return
    for start, end in zip(starts, [*starts[1:], len(phases)], strict=True):
        if start:
            axes.axvline(start + 0.5, color=INK, lw=0.8, zorder=0)
        wide = (end - start) / len(phases) > 0.12
        axes.text(start + 0.5 + 0.005 * len(phases), 1.01,
                  f"phase {phases[start]}" if wide else f"{phases[start]}",
                  transform=axes.get_xaxis_transform(), fontsize=9, color=INK)  # fmt: skip


def _readable(losses: np.ndarray) -> tuple[float, float]:
    """Limits that show the way down to the least loss, and the beginning of the way up."""
    finite = losses[np.isfinite(losses)]
    if not finite.size:
        return 0.0, 1.0
    best = int(finite.argmin())
    low = float(finite[best])
    # Not the very highest, which may be a spike of the first steps.
    way_down = float(np.percentile(finite[: best + 1], 95)) - low
    height = max(way_down, 0.1 * float(np.median(finite) - low), 0.05 * abs(low), 1e-6)
    return low - 0.08 * height, low + 1.25 * height


def _write_figures(axes: Any, rows: Sequence[Mapping[str, float | None]]) -> None:
    """In columns at the right of the bars; only those that some row has."""
    columns = (("precision", "{:.2f}", 56), ("recall", "{:.2f}", 96), ("support", "{:,.0f}", 148),
               ("threshold", "{:.2f}", 204))  # fmt: skip
    for key, form, right in columns:
        cells = [(k, _cell(each, key, form)) for k, each in enumerate(rows) if key in each]
        for row, text in [(-0.95, key), *cells] if cells else []:
            axes.annotate(text, (1, row), (right, 0), xycoords=axes.get_yaxis_transform(),
                          textcoords="offset points", ha="right", va="center", fontsize=8,
                          color=INK)  # fmt: skip


def _cell(figures: Mapping[str, float | None], key: str, form: str) -> str:
    value = _number(figures[key])
    unknown = math.isnan(value) or (key in ("precision", "recall") and not figures["support"])
    return "–" if unknown else form.format(value)


def _words(name: str) -> str:
    return plain_text(name, 32).replace("_", " ")

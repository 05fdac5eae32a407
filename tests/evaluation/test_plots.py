from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation import plots
from jeans_udf.evaluation.calibration import Bin
from jeans_udf.evaluation.charts import plot_calibration
from jeans_udf.evaluation.plots import (
    ALARM,
    DENIM,
    PALE,
    SERIES,
    plot_classifier_training,
    plot_detector_training,
    plot_label_scores,
    plot_rates,
    read_history,
)
from jeans_udf.report.colours import rgb

RATES = np.geomspace(1e-6, 1, 60)
LOSSES = 0.7 - 0.4 / (1 + np.exp(-3 * (np.log10(RATES) + 3)))
"""From 0.7 down to 0.3, the steepest at 1e-3."""


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What was saved stays here, to be looked into."""
    kept: list[Any] = []
    close = plots.plt.close
    monkeypatch.setattr(plots.plt, "close", kept.append)
    yield kept
    for figure in kept:
        close(figure)


def _write(folder: Path, *entries: Any) -> Path:
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    (folder / "history.jsonl").write_text("\n".join(lines))
    return folder


def _epoch(phase: int, epoch: int, loss: float | None, score: float | None = 0.5) -> dict[str, Any]:
    return {"phase": phase, "epoch": epoch, "train_loss": loss, "valid_loss": loss,
            "accuracy_multi": 0.9, "f_beta": score}  # fmt: skip


def _rows_of(path: Path, colour: str) -> np.ndarray:
    """Rows of the picture, 0 (top) to 1, that have pixels of that colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    rows = (np.abs(pixels - rgb(colour)).sum(axis=2) < 6).any(axis=1)
    return np.flatnonzero(rows) / len(rows)


def _texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def _line(axes: Any, colour: str) -> list[float]:
    (line,) = [line for line in axes.lines if line.get_color() == colour]
    return [float(value) for value in line.get_ydata()]


def test_epochs_are_in_order_of_phase_and_the_last_of_a_repeated_one_counts(tmp_path: Path) -> None:
    _write(tmp_path, _epoch(1, 1, 0.9), _epoch(1, 2, 0.8), _epoch(2, 1, 0.6), _epoch(2, 2, 0.5),
           _epoch(1, 2, 0.7))  # fmt: skip
    history = read_history(tmp_path)
    assert [(e["phase"], e["epoch"], e["valid_loss"]) for e in history] == [
        (1, 1, 0.9), (1, 2, 0.7), (2, 1, 0.6), (2, 2, 0.5),
    ]  # fmt: skip


def test_lines_that_are_no_epoch_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path, '{"epo', "[1]", "null", '{"epoch": "1"}', '{"epoch": true}', "[" * 100_000,
           '{"epoch": 2, "phase": null}', "\x00\ufffd", {"epoch": 1, "loss": 2.0})  # fmt: skip
    assert read_history(tmp_path) == [{"epoch": 1, "loss": 2.0}]


def test_a_history_without_epochs_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="history.jsonl: cannot be read"):
        plot_classifier_training(tmp_path)
    _write(tmp_path, "", "{}")
    with pytest.raises(ConfigError, match="history.jsonl: got 2 lines, none of which"):
        plot_classifier_training(tmp_path)
    assert not (tmp_path / "training.png").exists()


def test_a_detectors_history_has_no_phases(tmp_path: Path, figures: list[Any]) -> None:
    ap = {"AP50": 0.25}
    _write(tmp_path, {"epoch": 2, "loss": 1.0, "bbox": ap}, {"epoch": 1, "loss": 2.0},
           {"epoch": 2, "loss": 0.5, "bbox": ap})  # fmt: skip
    assert plot_detector_training(tmp_path) == tmp_path / "training.png"
    left, right = figures[0].axes
    assert left.lines[0].get_xydata().tolist() == [[1, 2.0], [2, 0.5]]
    assert right.lines[0].get_xydata().tolist() == [[2, 0.25]]


def test_epochs_are_counted_through_and_phases_are_parted(
    tmp_path: Path, figures: list[Any]
) -> None:
    _write(tmp_path, _epoch(1, 1, 0.9, 0.1), _epoch(1, 2, 0.8, 0.2), _epoch(2, 1, 0.6, 0.4),
           _epoch(2, 2, None, 0.6), _epoch(2, 3, 0.4, 0.7))  # fmt: skip
    path = plot_classifier_training(tmp_path)
    left, right = figures[0].axes
    assert left.lines[0].get_xdata().tolist() == [1, 2, 3, 4, 5]
    valid = _line(left, DENIM)
    assert valid[:3] == [0.9, 0.8, 0.6] and math.isnan(valid[3]) and valid[4] == 0.4
    assert _line(right, DENIM) == [0.1, 0.2, 0.4, 0.6, 0.7]
    assert _line(right, PALE) == [0.9] * 5
    for axes in (left, right):
        assert [line.get_xdata() for line in axes.lines[2:]] == [[2.5, 2.5]], "between the phases"
        assert _texts(axes) == ["phase 1", "phase 2"]
    names = [text.get_text() for text in right.get_legend().get_texts()]
    assert names == ["accuracy_multi 0.900", "F-beta 0.700"]
    assert np.ptp(_rows_of(path, DENIM)) > 0.5, "the curves fill the picture"


def test_one_phase_has_no_marks_and_one_epoch_can_be_seen(
    tmp_path: Path, figures: list[Any]
) -> None:
    path = plot_classifier_training(_write(tmp_path, _epoch(1, 1, math.nan, 0.8)))
    right = figures[0].axes[1]
    assert len(right.lines) == 2 and _texts(right) == []
    assert right.lines[1].get_marker() == "o" and _rows_of(path, DENIM).size


def test_the_rate_is_marked_on_the_curve_and_written(tmp_path: Path, figures: list[Any]) -> None:
    path = plot_rates(RATES, LOSSES, 1e-3, tmp_path / "rate.png")
    axes = figures[0].axes[0]
    curve, mark, spot = axes.lines
    assert path == tmp_path / "rate.png" and axes.get_xscale() == "log"
    np.testing.assert_allclose(curve.get_xydata(), np.stack([RATES, LOSSES], axis=1))
    assert mark.get_xdata() == [1e-3, 1e-3] and axes.get_title(loc="left").endswith(" 1.0e-03")
    assert spot.get_ydata()[0] == pytest.approx(0.5, abs=0.01), "half way down, by the formula"
    low, high = axes.get_ylim()
    assert low < LOSSES.min() and high > LOSSES.max()
    assert _rows_of(path, ALARM).size


@pytest.mark.parametrize("worst", [50.0, 3e38, math.inf])
def test_a_loss_that_diverges_leaves_the_curve_readable(
    tmp_path: Path, figures: list[Any], worst: float
) -> None:
    losses = LOSSES.copy()
    losses[-6:] = worst
    losses[7] = math.nan
    rows = _rows_of(plot_rates(RATES, losses, RATES[7], tmp_path / "rate.png"), DENIM)
    axes = figures[0].axes[0]
    assert axes.lines[2].get_ydata()[0] == pytest.approx(0.7, abs=0.01), "between its neighbours"
    assert _line(axes, DENIM)[-6] > axes.get_ylim()[1], "it goes up where the loss does"
    # The way down takes two thirds of the axes; squeezed by the last loss it would be one row.
    calm = _rows_of(plot_rates(RATES[:-6], LOSSES[:-6], 1e-3, tmp_path / "calm.png"), DENIM)
    assert np.ptp(rows) >= np.ptp(calm) > 0.5
    assert (rows[:-1] + 0.01 > rows[1:]).all(), "no gap but that of the one loss"


@pytest.mark.parametrize(
    ("rates", "losses", "found"),
    [
        ([], [], math.nan),
        ([1e-3], [0.5], 1e-3),
        ([1e-3, 1e-2], [math.nan, math.inf], 1e-2),
        ([1e-3, 1e-2, 1e-1], [math.inf, 0.5, 0.5], 0.0),
        ([1e-4, 1e-3], [0.5, 0.5], math.inf),
        ([1e-4, 1e-3], [-3.0, -math.inf], -1.0),
    ],
)
def test_rates_of_any_kind_make_a_plot(
    tmp_path: Path, figures: list[Any], rates: list[float], losses: list[float], found: float
) -> None:
    path = plot_rates(rates, losses, found, tmp_path / "rate.png")
    assert Image.open(path).width > 400
    known = math.isfinite(found) and found > 0
    assert figures[0].axes[0].get_title(loc="left").startswith("learning" if known else "no ")


def _scores(f1: float | None, support: int, **more: float) -> dict[str, float | None]:
    return {"precision": 0.25, "recall": 0.75, "f1": f1, "support": support, **more}


def _bars(axes: Any) -> list[tuple[float, str]]:
    return [(bar.get_width(), to_hex(bar.get_facecolor())) for bar in axes.containers[0]]


def test_bars_are_in_order_coloured_by_group_with_figures_beside(
    tmp_path: Path, figures: list[Any]
) -> None:
    labels = {
        "light": _scores(0.5, 1200, threshold=0.35),
        "dark": _scores(None, 0, threshold=math.nan),
        "raw_hem": _scores(0.8, 3, threshold=0.4),
    }
    groups = {"light": "wash", "dark": "wash", "raw_hem": "details"}
    path = plot_label_scores(labels, tmp_path / "labels.png", groups)
    axes = figures[0].axes[0]
    assert _bars(axes) == [(0.5, SERIES[0]), (0.0, SERIES[0]), (0.8, SERIES[1])]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["light", "dark", "raw hem"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first is at the top"
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["wash", "details"]
    assert _texts(axes) == [
        "precision", "0.25", "–", "0.25", "recall", "0.75", "–", "0.75",
        "support", "1,200", "0", "3", "threshold", "0.35", "–", "0.40",
    ]  # fmt: skip
    assert _rows_of(path, SERIES[0]).max() < _rows_of(path, SERIES[1]).max()


def test_without_groups_and_thresholds_there_is_none(tmp_path: Path, figures: list[Any]) -> None:
    plot_label_scores({"light": _scores(0.5, 12)}, tmp_path / "labels.png")
    axes = figures[0].axes[0]
    assert axes.get_legend() is None and _bars(axes) == [(0.5, DENIM)]
    assert "threshold" not in _texts(axes)


def test_names_are_no_formulas_and_are_cut(tmp_path: Path, figures: list[Any]) -> None:
    labels = {"$\\frac{$": _scores(0.5, 1), "x" * 300: _scores(0.5, 1), "a\nb\u202e": _scores(1, 1)}
    path = plot_label_scores(labels, tmp_path / "labels.png", {"$\\frac{$": "$x^$"})
    names = [tick.get_text() for tick in figures[0].axes[0].get_yticklabels()]
    assert names == ["$\\frac{$", "x" * 31 + "…", "a b"], "as formulas they could not be drawn"
    assert Image.open(path).width < 1200


def test_of_very_many_labels_those_with_most_garments_are_shown(
    tmp_path: Path, figures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "MOST_LABELS", 15)
    labels = {f"p{k}": _scores(0.5, k) for k in range(2000)}
    plot_label_scores(labels, tmp_path / "labels.png")
    axes = figures[0].axes[0]
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == [f"p{k}" for k in range(1985, 2000)]
    assert axes.get_xlabel().endswith(", 15 of 2,000 labels")


def test_no_label_is_said(tmp_path: Path, figures: list[Any]) -> None:
    plot_label_scores({}, tmp_path / "labels.png")
    assert figures[0].axes[0].get_xlabel() == "there are no labels"


def _bins(*rows: tuple[int, float, float]) -> Sequence[Bin]:
    return [Bin(k / len(rows), (k + 1) / len(rows), *row) for k, row in enumerate(rows)]


def test_calibration_before_and_after_stand_side_by_side(
    tmp_path: Path, figures: list[Any]
) -> None:
    before = _bins((40, 0.2, 0.1), (0, math.nan, math.nan), (12_345, 0.9, 0.6))
    after = _bins((30, 0.1, 0.1), (0, math.nan, math.nan), (0, math.nan, math.nan))
    path = plot_calibration(before, after, (0.25, 0.0), tmp_path / "calibration.png")
    left, right, counts, _ = figures[0].axes
    assert left.lines[1].get_xydata().tolist() == [[0.2, 0.1], [0.9, 0.6]], "none where none is"
    assert right.lines[1].get_xydata().tolist() == [[0.1, 0.1]]
    assert left.get_title() == "before: expected calibration error 0.250"
    assert right.get_title() == "after: expected calibration error 0.000"
    assert [bar.get_height() for bar in counts.containers[0]] == [40, 0, 12_345]
    assert _texts(counts) == ["40", "0", "12k"]
    assert _rows_of(path, DENIM).size


@pytest.mark.parametrize("empty", [[], _bins((0, math.nan, math.nan))])
def test_calibration_of_nothing_says_so(
    tmp_path: Path, figures: list[Any], empty: Sequence[Bin]
) -> None:
    plot_calibration(empty, _bins((3, 0.5, 1.0)), (math.nan, 0.5), tmp_path / "calibration.png")
    assert figures[0].axes[0].get_title() == "before: nothing was judged"

"""Pictures of a classifier's crops with their labels: what it sees, what it says, where it errs.

After ``show_batch``, ``show_results`` and ``plot_top_losses`` of fastai, as PNG files. Pictures are
an array ``(N, S, S, 3) uint8`` RGB, or a function from an index to one ``(S, S, 3) uint8``, so that
they need not be in memory all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from jeans_udf.evaluation.contact_sheet import GREY, INK, Line, Tile, draw_sheet

RIGHT, WRONG, MISSED = "#166534", "#8b0000", "#bf540a"
"""Green, red, orange: text in each is readable on white, and they differ in lightness too."""
LEGEND = (
    ("✓ said, and true", RIGHT),
    ("+ said, but not true", WRONG),
    ("− true, but not said", MISSED),
)
MOST = 24
"""Crops on a sheet."""
NO_BREAK = "\u00a0"
"""A space at which no line is wrapped: a sign stays with its label, a label stays whole."""

Pictures = np.ndarray | Callable[[int], np.ndarray]
Labels = Sequence[Sequence[str]]
"""Of each crop its labels."""


def show_batch(pictures: Pictures, wanted: Labels, path: Path) -> Path:
    """The first crops as the network sees them, augmented, with their labels; returns ``path``."""
    shown = range(min(MOST, len(wanted)))
    tiles = [
        Tile(_picture(pictures, index, len(wanted)), (_plain_line(wanted[index]),))
        for index in shown
    ]
    return draw_sheet(tiles, "Training crops as the network sees them", path)


def show_results(
    pictures: Pictures, wanted: Labels, said: Labels, path: Path, seed: int = 0
) -> Path:
    """Crops by chance, the same for the same ``seed``, with truth and prediction.

    Each label has a sign and a colour as `LEGEND` explains; returns ``path``.
    """
    _same_length(wanted=wanted, said=said)
    chosen = np.random.default_rng(seed).permutation(len(wanted))[:MOST]
    tiles = [
        Tile(_picture(pictures, int(k), len(wanted)), label_lines(wanted[k], said[k]))
        for k in chosen
    ]
    title = f"Validation crops by chance, {len(tiles)} of {len(wanted):,}"
    return draw_sheet(tiles, title, path, legend=LEGEND)


def top_losses(
    pictures: Pictures,
    wanted: Labels,
    said: Labels,
    losses: np.ndarray,
    names: Sequence[str],
    path: Path,
    count: int = MOST,
) -> Path:
    """The ``count`` crops with the greatest of ``losses (N,)``, the worst first; returns ``path``.

    Below each its loss, its file's name, and its labels as in `show_results`. A loss that is no
    number is the worst.
    """
    _same_length(wanted=wanted, said=said, losses=losses, names=names)
    values = np.where(np.isnan(losses), np.inf, losses)
    chosen = np.argsort(-values, kind="stable")[:count]
    tiles = [
        Tile(
            _picture(pictures, int(index), len(wanted)),
            (
                (f"{place}.  loss {losses[index]:.3f}", INK),
                (names[index], GREY),
                *label_lines(wanted[index], said[index]),
            ),
        )
        for place, index in enumerate(chosen, start=1)
    ]
    title = f"Validation crops with the greatest loss, {len(tiles)} of {len(wanted):,}"
    return draw_sheet(tiles, title, path, legend=LEGEND)


def label_lines(wanted: Sequence[str], said: Sequence[str]) -> tuple[Line, ...]:
    """Labels that are right, that are said but not true, that are missed; one line a kind."""
    kinds = (
        ("✓", [name for name in wanted if name in said], RIGHT),
        ("+", [name for name in said if name not in wanted], WRONG),
        ("−", [name for name in wanted if name not in said], MISSED),
    )
    lines = tuple(
        (f"{sign}{NO_BREAK}{_listed(names)}", colour) for sign, names, colour in kinds if names
    )
    return lines or (("no labels, and none said", GREY),)


def _plain_line(labels: Sequence[str]) -> Line:
    return (_listed(labels), INK) if labels else ("no labels", GREY)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(name.replace("_", NO_BREAK) for name in dict.fromkeys(names))


def _picture(pictures: Pictures, index: int, count: int) -> np.ndarray:
    if callable(pictures):
        return pictures(index)
    _same_length(wanted=range(count), pictures=pictures)
    return pictures[index]


def _same_length(**parts: Sequence[object] | np.ndarray) -> None:
    lengths = {name: len(part) for name, part in parts.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"crops to show: got {lengths}, wanted one of each for every crop")

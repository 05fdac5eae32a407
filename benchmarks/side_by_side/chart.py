"""The figures as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

OURS, LIMIT, PEER = "#1f5fa8", "#9aa5b1", "#c98a3b"
COLOURS = {"job": OURS, "bare_loop": LIMIT, "decoding_loop": LIMIT}


def draw(rows: Sequence[Mapping[str, Any]], subtitle: str, file: Path) -> None:
    """A bar for each row's median and a dot for each of its rounds, as a PNG."""
    figure = Figure(figsize=(9, 1.2 + 0.55 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(rows))
    medians = [row["median"] for row in rows]
    colours = [COLOURS.get(row["name"], PEER) for row in rows]
    axes.barh(places, medians, color=colours, height=0.6)
    for place, row in zip(places, rows, strict=True):
        rates = row["images_per_second"]
        axes.plot(rates, [place] * len(rates), "o", color="black", markersize=3)
        axes.annotate(f"{row['median']:.1f}", (max(rates), place), xytext=(6, 0),
                      textcoords="offset points", va="center")  # fmt: skip
    axes.set_yticks(list(places), [row["title"] for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(max(row["images_per_second"]) for row in rows))
    axes.set_xlabel("images per second (median; dots: rounds); start-up and loading not counted")
    axes.set_title(subtitle, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)

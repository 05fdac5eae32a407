"""Detectors side by side: one row each, as Markdown, CSV and for the terminal."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jeans_udf.evaluation.charts import plot_comparison
from jeans_udf.evaluation.listings import Listing

COLUMNS = (
    "name", "architecture", "backbone", "M parameters", "box AP", "box AP50", "box AP75",
    "mask AP", "AR@100", "photos/s", "photos/s in batches of 8", "training h", "training CPU h",
)  # fmt: skip
DIGITS = {"M parameters": 2, "photos/s": 1, "photos/s in batches of 8": 1, "training h": 2,
          "training CPU h": 2}  # fmt: skip
"""Digits after the point; figures of 0 to 1 have three."""
Value = str | float | None


def comparison_row(metrics: Mapping[str, Any]) -> dict[str, Value]:
    """`COLUMNS` of one detector's metrics (see `output.write_assessment`); None: not told."""
    about, speed = metrics["detector"], metrics["speed"] or {}
    boxes, masks = metrics["bbox"] or {}, metrics["segm"] or {}
    values = (
        about["name"],
        about["architecture"],
        about["backbone"],
        about["parameters"] / 1e6,
        boxes.get("AP"),
        boxes.get("AP50"),
        boxes.get("AP75"),
        masks.get("AP"),
        (metrics.get("proposals") or {}).get("AR@100"),
        speed.get("batch_1"),
        speed.get("batch_8"),
        _hours(about["training_seconds"]),
        _hours(about["training_cpu_seconds"]),
    )
    return dict(zip(COLUMNS, values, strict=True))


def comparison_listing(rows: Sequence[Mapping[str, Value]]) -> Listing:
    """The table; columns that nothing is known for are left out."""
    told = [name for name in COLUMNS if any(row[name] is not None for row in rows)]
    cells = tuple(tuple(_cell(name, row[name]) for name in told) for row in rows)
    return Listing("Comparison", tuple(told), cells)


def write_comparison(output: Path, rows: Sequence[Mapping[str, Value]], note: str) -> list[Path]:
    """``comparison.md`` (with ``note`` below), ``comparison.csv`` and ``comparison.png``."""
    listing = comparison_listing(rows)
    text = "\n".join([*markdown(listing), "", note, ""])
    files = [output / "comparison.md", output / "comparison.csv"]
    files[0].write_text(text, encoding="utf-8")
    with files[1].open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    points = [
        (str(row["name"]), float(row["photos/s"]), float(row["box AP"]))
        for row in rows
        if row["photos/s"] is not None and row["box AP"] is not None
    ]
    if points:
        files.append(plot_comparison(points, output / "comparison.png"))
    return files


def markdown(listing: Listing) -> list[str]:
    """Lines of a Markdown table, padded so that it reads as plain text too."""
    table = [listing.columns, *listing.rows]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in table]
    widths = [max(len(row[k]) for row in escaped) for k in range(len(listing.columns))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if k < 3 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(
        "-" * (width + 2) if k < 3 else "-" * (width + 1) + ":" for k, width in enumerate(widths)
    )
    return [line(escaped[0]), rule + "|", *(line(row) for row in escaped[1:])]


def _cell(column: str, value: Value) -> str:
    if value is None or value != value:
        return "–"
    return value if isinstance(value, str) else f"{value:.{DIGITS.get(column, 3)}f}"


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 3600

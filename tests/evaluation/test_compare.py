from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from jeans_udf.evaluation.compare import (
    COLUMNS,
    comparison_listing,
    comparison_row,
    markdown,
    write_comparison,
)


def _metrics(name: str, **more: Any) -> dict[str, Any]:
    about = {"name": name, "architecture": "Mask R-CNN", "backbone": "lite0",
             "parameters": 7_490_000, "training_seconds": None,
             "training_cpu_seconds": None}  # fmt: skip
    return {"detector": about | more.pop("about", {}), "bbox": None, "segm": None,
            "speed": None} | more  # fmt: skip


DETECTOR = _metrics(
    "a|b",
    bbox={"AP": 0.5, "AP50": 0.75, "AP75": 0.6},
    segm={"AP": float("nan")},
    speed={"batch_1": 12.34, "batch_8": 20.0},
    about={"training_seconds": 5400.0},
)
RPN = _metrics("rpn", proposals={"AR@100": 0.625}, about={"architecture": "RPN"})


def test_rows_take_what_is_told() -> None:
    row = comparison_row(DETECTOR)
    assert tuple(row) == COLUMNS
    assert row["M parameters"] == 7.49 and row["box AP75"] == 0.6 and row["training h"] == 1.5
    assert row["AR@100"] is None and row["training CPU h"] is None
    assert comparison_row(RPN)["AR@100"] == 0.625 and comparison_row(RPN)["box AP"] is None


def test_the_table_leaves_out_what_nobody_tells_and_escapes_names() -> None:
    listing = comparison_listing([comparison_row(DETECTOR), comparison_row(RPN)])
    assert "training CPU h" not in listing.columns and "training h" in listing.columns
    lines = markdown(listing)
    assert "a\\|b" in lines[2] and "12.3" in lines[2] and "0.500" in lines[2]
    assert len({len(line) for line in lines}) == 1, "columns stand below each other"
    assert lines[3].count("–") == 7, "of an RPN only recall is known here"


def test_files(tmp_path: Path) -> None:
    rows = [comparison_row(DETECTOR), comparison_row(RPN)]
    files = write_comparison(tmp_path, rows, "On 3 photos.")
    assert [file.name for file in files] == ["comparison.md", "comparison.csv", "comparison.png"]
    assert "On 3 photos." in files[0].read_text()
    with files[1].open(newline="") as lines:
        first, second = csv.DictReader(lines)
    assert float(first["box AP"]) == 0.5 and second["box AP"] == ""
    assert len(write_comparison(tmp_path, rows[1:], "")) == 2, "no point to plot"

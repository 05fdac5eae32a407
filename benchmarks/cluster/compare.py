"""Whether two runs' tables are equal by value."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

TABLES = {"image_status": "image_id", "garments": "garment_id", "garment_crops": "garment_id",
          "image_detections": "image_id"}  # fmt: skip
APART = ("run_id", "tagged_at")
"""Columns that each run fills with its own."""
TOLERANCE = 1e-4
"""Relative difference of two floats: processors and engines round in their own ways."""


def first_difference(one: Path, two: Path) -> str | None:
    """In words; None where all tables hold the same rows."""
    for table, key in TABLES.items():
        rows = [_rows(folder / table, key) for folder in (one, two)]
        alone = sorted(set(rows[0]) ^ set(rows[1]))
        if alone:
            return f"{table}: {alone[0]} is in one only ({len(alone)} such rows)"
        for name, row in rows[0].items():
            for column, value in row.items():
                if not is_equal(value, rows[1][name][column]):
                    return f"{table}: {name}: {column}"
    return None


def is_equal(one: Any, two: Any) -> bool:
    """Equal, floats within the tolerance, whatever they are nested in."""
    if isinstance(one, float) and isinstance(two, float):
        return math.isclose(one, two, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(is_equal(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(is_equal, one, two))
    return bool(one == two)


def _rows(table: Path, key: str) -> dict[str, dict[str, Any]]:
    found = {}
    for row in DeltaTable(str(table)).to_pyarrow_table().to_pylist():
        for column in APART:
            row.pop(column, None)
        assert row[key] not in found, f"{table}: {row[key]} stands twice"
        found[row[key]] = row
    return found

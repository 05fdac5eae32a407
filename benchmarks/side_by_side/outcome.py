"""What a row gives back: its seconds, and the garments it found, to be compared."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

Outputs = dict[str, list[list[str]]]
"""image_id -> garments, each ``[category, label, ...]`` with its labels sorted."""


@dataclass
class Outcome:
    """One round of one row."""

    seconds: float
    """From all workers' models loaded and warm to the last garment (written, where it writes)."""
    ready_at: float
    """When they were, in seconds since the epoch."""
    outputs: Outputs
    settings: dict[str, Any] = field(default_factory=dict)
    """Processes, threads, batch size."""
    further: dict[str, float] = field(default_factory=dict)
    """Other seconds that are told beside."""

    @property
    def garments(self) -> int:
        return sum(map(len, self.outputs.values()))


class Clock:
    """Seconds from when it was made."""

    def __init__(self) -> None:
        self.ready_at = time.time()
        self._start = time.perf_counter()

    def seconds(self) -> float:
        return time.perf_counter() - self._start


def garment(category: str, labels: Iterable[str]) -> list[str]:
    """A garment as it is compared."""
    return [category, *sorted(labels)]


def read_outputs(folder: Path) -> Outputs:
    """What a row wrote as Parquet with the columns of `passes.SCHEMA`."""
    rows = ds.dataset(folder, format="parquet", exclude_invalid_files=True)
    return outputs_of(rows.to_table(columns=["image_id", "garments"]).to_pylist())


def outputs_of(rows: Iterable[Mapping[str, Any]]) -> Outputs:
    """Rows of images with their ``garments`` (``category``, ``labels``, ...)."""
    return {
        row["image_id"]: sorted(garment(g["category"], g["labels"]) for g in row["garments"])
        for row in rows
    }

"""Where a framework's workers wait for one another once their models are loaded.

Ray and Daft start their workers within the query, so the query's own start tells nothing. A worker
that has its models leaves a file and waits for the others' files; the clock runs from the last one
on, and no worker has seen a photo before.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path

LONGEST_WAIT = 300.0
"""Seconds until the other workers must have their models."""


def open_gate(folder: Path) -> Path:
    """An empty gate."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return folder


def wait_for_all(gate: Path, workers: int, longest: float = LONGEST_WAIT) -> None:
    """Say that this worker is ready; return when ``workers`` are. Raises TimeoutError."""
    # Written aside and renamed: whoever sees the file can read it.
    aside = gate / f".{uuid.uuid4().hex}"
    aside.write_text(repr(time.time()))
    aside.rename(gate / aside.name[1:])
    give_up = time.monotonic() + longest
    while len(_passed(gate)) < workers:
        if time.monotonic() > give_up:
            raise TimeoutError(
                f"{len(_passed(gate))} of {workers} workers had their models after {longest:.0f} s"
            )
        time.sleep(0.02)


def opened_at(gate: Path, workers: int) -> float:
    """When the last of ``workers`` was ready, in seconds since the epoch."""
    times = sorted(float(file.read_text()) for file in _passed(gate))
    if len(times) < workers:
        raise RuntimeError(f"{len(times)} workers loaded the models, wanted {workers}")
    # A worker that the framework started later, in another's place, was not waited for.
    return times[workers - 1]


def _passed(gate: Path) -> list[Path]:
    return [file for file in gate.iterdir() if not file.name.startswith(".")]

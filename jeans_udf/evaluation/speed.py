"""How many photos a second a detector does, without decoding and scaling."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from jeans_udf.models.detector import Canvas

REPEATS = 5
PHOTOS = 16
"""Canvases of one pass; fewer photos take turns."""


@dataclass(frozen=True)
class Speed:
    """Medians of ``repeats`` passes after a warm-up."""

    photos_per_second: dict[int, float]
    """By batch size."""
    canvas: tuple[int, int]
    """Height and width of what was run, pixels: the photos' most frequent one."""
    repeats: int
    device: str
    threads: int
    """Torch's CPU threads."""

    def as_dict(self) -> dict[str, Any]:
        rates = {f"batch_{size}": rate for size, rate in self.photos_per_second.items()}
        return rates | {
            "canvas": list(self.canvas),
            "repeats": self.repeats,
            "device": self.device,
            "threads": self.threads,
        }


def measure_speed(
    run: Callable[[Sequence[Canvas]], Any],
    canvases: Sequence[Canvas],
    device: torch.device,
    *,
    batches: Sequence[int] = (1, 8),
    repeats: int = REPEATS,
) -> Speed:
    """Time ``run`` (`Detector.detect` or `Detector.propose`) on photos of one canvas.

    A batch holds equal canvases, so the ``canvases`` of the most frequent shape are taken; at
    least one is wanted. One unmeasured pass comes before the ``repeats``.
    """
    shape = Counter(canvas.shape for canvas in canvases).most_common(1)[0][0]
    alike = [canvas for canvas in canvases if canvas.shape == shape]
    seconds: dict[int, list[float]] = {size: [] for size in batches}
    # In turns, so that a machine that is busy for a while slows all sizes alike.
    for repeat in range(repeats + 1):
        for size in batches:
            chosen = [alike[k % len(alike)] for k in range(_count(size))]
            _wait(device)
            start = time.perf_counter()
            for first in range(0, len(chosen), size):
                run(chosen[first : first + size])
            _wait(device)
            if repeat:
                seconds[size].append(time.perf_counter() - start)
    rates = {size: _count(size) / statistics.median(taken) for size, taken in seconds.items()}
    return Speed(rates, shape, repeats, device_name(device), torch.get_num_threads())


def device_name(device: torch.device) -> str:
    """``cpu``, or the name of the GPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _count(size: int) -> int:
    """Photos of a pass: whole batches."""
    return -(-max(PHOTOS, size) // size) * size


def _wait(device: torch.device) -> None:
    # A GPU is handed work and returns at once: without this only the handing over is timed.
    if device.type == "cuda":
        torch.cuda.synchronize(device)

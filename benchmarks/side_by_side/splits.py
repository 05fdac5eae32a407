"""The best split of the cores into processes and threads, found by trying."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from benchmarks.side_by_side.workload import Split


def splits(cores: int) -> list[Split]:
    """Every way to use all ``cores``, most processes first."""
    return [Split(n, cores // n) for n in range(cores, 0, -1) if cores % n == 0]


def fastest(seconds: Mapping[Split, Sequence[float]]) -> Split:
    """The split with the least median; of equal ones the first."""
    return min(seconds, key=lambda split: statistics.median(seconds[split]))


def try_splits(
    cores: int, rounds: int, measure: Callable[[Split], float]
) -> dict[Split, list[float]]:
    """Seconds of ``rounds`` alternating rounds for each split."""
    found: dict[Split, list[float]] = {split: [] for split in splits(cores)}
    for _ in range(rounds):
        for split, seconds in found.items():
            seconds.append(measure(split))
    return found

"""The rows of the benchmark, in the order of its table."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.side_by_side.outcome import Outcome
from benchmarks.side_by_side.workload import Workload
from jeans_udf.errors import ConfigError, near_miss

Measure = Callable[[Workload], Outcome]


@dataclass(frozen=True)
class Row:
    """One way to tag photos, and what its seconds include."""

    title: str
    module: str
    """Where its ``measure`` stands; imported in the row's own process alone."""
    function: str
    includes: str
    needs: str | None = None
    """A package that comes with benchmarks/requirements.txt."""
    split_found: bool = False
    """Whether processes and threads are tried out first."""
    allocator_kept: bool = True
    """Whether it gets the memory settings of the job's workers (`session.COMMON_SETTINGS`)."""

    def measure(self) -> Measure:
        """The function that runs the row."""
        function: Measure = getattr(importlib.import_module(self.module), self.function)
        return function


_HERE = "benchmarks.side_by_side"
_ALL = "reading Parquet, decode, detect, cut, classify, PNG and RLE, writing Parquet"

ROWS: dict[str, Row] = {
    "bare_loop": Row("bare loop, decoded before", f"{_HERE}.loop", "bare_loop",
                     "detect, cut, classify", split_found=True),
    "decoding_loop": Row("bare loop with decoding", f"{_HERE}.loop", "decoding_loop",
                         "reading files, decode, detect, cut, classify", split_found=True),
    "job": Row("this job", f"{_HERE}.job", "measure",
               "reading Delta, decode, detect, cut, classify, PNG and RLE, commits to Delta"),
    "default_predictor": Row("pandas UDF, DefaultPredictor and learn.predict",
                             f"{_HERE}.default_predictor", "measure", _ALL, allocator_kept=False),
    "predict_batch_udf": Row("Spark's predict_batch_udf", f"{_HERE}.predict_batch", "measure",
                             _ALL),
    "ray_data": Row("Ray Data map_batches", f"{_HERE}.ray_data", "measure", _ALL, needs="ray"),
    "daft": Row("Daft class UDF", f"{_HERE}.daft_udf", "measure", _ALL, needs="daft"),
}  # fmt: skip


def choose_rows(names: Sequence[str] | None) -> list[str]:
    """``names`` in the table's order; a, b, c, ... stand for the rows in it; None is every row.

    Raises `ConfigError` for an unknown row and for one whose framework is not installed.
    """
    letters = dict(zip("abcdefghijklmnopqrstuvwxyz", ROWS, strict=False))
    wanted = set()
    for name in list(ROWS) if names is None else names:
        key = letters.get(name, name)
        if key not in ROWS:
            known = [f"{letter} {row}" for letter, row in letters.items()]
            raise ConfigError(f"row {name!r}: {near_miss(name, [*ROWS])} ({', '.join(known)})")
        wanted.add(key)
    needs = {key: row.needs for key, row in ROWS.items() if key in wanted and row.needs}
    missing = {key: name for key, name in needs.items() if importlib.util.find_spec(name) is None}
    if missing:
        told = ", ".join(f"{key} needs {package}" for key, package in missing.items())
        raise ConfigError(
            f"{told}: not installed in this Python; `make benchmark` installs "
            "benchmarks/requirements.txt, or leave the row out with --rows"
        )
    return [key for key in ROWS if key in wanted]

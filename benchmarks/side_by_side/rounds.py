"""Runs rows, each round of each in a process of its own, so that none waits in another's way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.side_by_side.registry import ROWS
from benchmarks.side_by_side.splits import fastest, try_splits
from benchmarks.side_by_side.workload import REPOSITORY, Split, Workload
from jeans_udf.errors import JeansError
from jeans_udf.session import COMMON_SETTINGS

TRIAL_ROUNDS = 2
"""Alternating rounds of each split before the best is chosen."""
LONGEST_ROUND = 3600
"""Seconds after which a row hangs."""
ENVIRONMENT = "spark.executorEnv."


class RowFailed(JeansError):
    """A row's process ended with an error."""


def run_round(row: str, work: Workload) -> dict[str, Any]:
    """`outcome.Outcome` as a dictionary, with ``start_up`` and ``whole`` (seconds).

    ``start_up`` is from the process's start to all models loaded and warm; ``whole`` is all that
    the process took. Raises `RowFailed` with the end of its log.
    """
    task, result, log = (work.path(f"{row}.{end}") for end in ("json", "result.json", "log"))
    work.write(task)
    result.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.side_by_side.child", row, str(task), str(result)]
    started, begin = time.time(), time.perf_counter()
    code: int | str
    with log.open("w") as file:
        try:
            code = subprocess.run(
                command, cwd=REPOSITORY, env=environment(row), stdout=file, stderr=file,
                check=False, timeout=LONGEST_ROUND,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            code = f"none after {LONGEST_ROUND} s"
    whole = time.perf_counter() - begin
    if code or not result.exists():
        end = log.read_text(errors="replace")[-3000:]
        raise RowFailed(f"row {row}: exit code {code}; the end of {log}:\n{end}")
    outcome: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    outcome["garments"] = sum(map(len, outcome["outputs"].values()))
    return outcome | {"start_up": outcome["ready_at"] - started, "whole": whole}


def environment(row: str) -> dict[str, str]:
    """Variables of a row's process: this repository importable, the job's allocator settings."""
    values = dict(os.environ)
    path = [str(REPOSITORY), *filter(None, [values.get("PYTHONPATH")])]
    values["PYTHONPATH"] = os.pathsep.join(path)
    values["TOKENIZERS_PARALLELISM"] = "false"
    if ROWS[row].allocator_kept:
        values |= {
            key.removeprefix(ENVIRONMENT): value
            for key, value in COMMON_SETTINGS.items() if key.startswith(ENVIRONMENT)
        }  # fmt: skip
    return values


def find_splits(
    rows: Sequence[str], work: Workload, cores: int, photos: int, say: Callable[[str], None]
) -> tuple[dict[str, Split], dict[str, dict[str, list[float]]]]:
    """The fastest split for each row that has one to find, and the seconds of all that were tried.

    Tried on ``photos`` of the photos. Frameworks take the split of the loop with decoding, which
    does what their workers do.
    """
    chosen, tried = {}, {}
    loops = [row for row in ROWS if ROWS[row].split_found and row in rows]
    for row in loops or ["decoding_loop"]:

        def measure(split: Split, row: str = row) -> float:
            trial = run_round(row, replace(work, split=split, limit=photos))
            return float(trial["seconds"])

        seconds = try_splits(cores, TRIAL_ROUNDS, measure)
        chosen[row] = fastest(seconds)
        tried[row] = {str(split): values for split, values in seconds.items()}
        told = ", ".join(f"{s}: {'/'.join(f'{v:.1f}' for v in values)} s"
                         for s, values in tried[row].items())  # fmt: skip
        say(f"processes x threads for {row}: {chosen[row]} ({told})")
    return chosen, tried


def run_rounds(
    rows: Sequence[str], count: int, work_of: Callable[[str], Workload], images: int,
    say: Callable[[str], None],
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """``count`` rounds, in each every row once."""
    rounds: dict[str, list[dict[str, Any]]] = {row: [] for row in rows}
    for number in range(count):
        for row in rows:
            one = run_round(row, work_of(row))
            rounds[row].append(one)
            say(f"round {number + 1} of {count}: {row}: {images / one['seconds']:.2f} images/s, "
                f"{one['garments']} garments (start-up {one['start_up']:.1f} s)")  # fmt: skip
    return rounds


def machine() -> dict[str, Any]:
    """What the figures hold for: processor and versions."""
    from importlib.metadata import PackageNotFoundError, version

    def version_of(package: str) -> str | None:
        try:
            return version(package)
        except PackageNotFoundError:
            return None

    packages = ("torch", "openvino", "onnxruntime", "detectron2", "fastai", "pyspark",
                "delta-spark", "ray", "daft", "numpy", "pandas", "pyarrow")  # fmt: skip
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
    found = {package: version_of(package) for package in packages}
    return {"processor": model, "versions": {key: v for key, v in found.items() if v}}

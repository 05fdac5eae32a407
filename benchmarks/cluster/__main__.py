"""The tagging job on a standalone cluster of this machine, undisturbed and disturbed.

A master and two workers of one core on loopback, started from pip's Spark; the job submitted in
client mode; executors that hold a packed environment with our wheel, a bundle, and nothing else of
this checkout. Each run writes an output of its own, and all tables are compared by value with those
of a run in local mode.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from benchmarks.cluster.compare import first_difference
from benchmarks.cluster.faults import FAULTS, Fault
from benchmarks.cluster.packing import Packed, pack
from benchmarks.cluster.standalone import StandaloneCluster
from benchmarks.cluster.submit import Outcome, cluster_settings, submit, unpack_bundle
from benchmarks.side_by_side.workload import REPOSITORY, Split, Workload, prepare
from jeans_udf.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, JeansError, UsageError
from jeans_udf.session import delta_jars

RESULTS = REPOSITORY / "benchmarks" / "results"
COLUMNS = ("case", "exit", "seconds", "images/s", "tasks", "failed", "copies", "executors", "lost",
           "tables")  # fmt: skip


def parser() -> argparse.ArgumentParser:
    cases = "\n".join(f"  {name:<12} {fault.title}" for name, fault in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster", description=__doc__,
        epilog=f"cases:\n{cases}\n\nwritten: RESULTS/cluster.json\n"
        "exit codes: 0 all tables equal; 1 a run failed or a table differs; 2 something is missing",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--images", type=Path, metavar="DIR", help="folder of photos (default: drawn pictures)")
    add("--limit", type=int, default=300, metavar="N",
        help="photos to take, spread over the folder (default: 300)")  # fmt: skip
    add("--cases", type=lambda text: text.split(","), default=list(FAULTS), metavar="A,B",
        help="cases to run (default: all)")  # fmt: skip
    add("--results", type=Path, default=RESULTS, metavar="DIR",
        help="where figures go (default: benchmarks/results)")  # fmt: skip
    add("--work", type=Path, default=Path("build/cluster"), metavar="DIR",
        help="archives, logs and tables (default: build/cluster)")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return run(options)
    except UsageError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return EXIT_USAGE
    except (JeansError, RuntimeError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return EXIT_FAILED


def run(options: argparse.Namespace) -> int:
    unknown = sorted(set(options.cases) - set(FAULTS))
    if unknown:
        raise UsageError(f"--cases {unknown[0]}: known: {', '.join(FAULTS)}")
    work = options.work.resolve()
    say("packing what the executors get (the first time some minutes)")
    packed = pack(work / "archives")
    for what, megabytes in packed.sizes.items():
        say(f"  {what}: {megabytes:,.0f} MB")
    images, source = _source(work / "photos", options.images, options.limit)
    say(f"{images} images")
    runs = work / "runs"
    shutil.rmtree(runs, ignore_errors=True)
    rows = [_local(runs / "local", source, packed, images)]
    for name in options.cases:
        try:
            rows.append(_on_cluster(runs / name, source, packed, images, FAULTS[name]))
            rows[-1]["difference"] = _difference(rows[-1], FAULTS[name], runs, name)
        except JeansError as error:  # the other cases are still worth something
            outcome = Outcome(EXIT_FAILED, 0.0)
            rows.append(_row(FAULTS[name].title, outcome, runs / name, images))
            rows[-1]["difference"] = str(error)
        if rows[-1]["difference"] is None:
            # Each executor has unpacked the environment, several gigabytes.
            shutil.rmtree(runs / name / "cluster")
            shutil.rmtree(runs / name / "local", ignore_errors=True)
        say(line(rows[-1]))
    print(table(rows))
    for row in rows:
        if row["happened"]:
            print(f"{row['case']}: {row['happened']}")
    options.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"images": images, "megabytes": packed.sizes, "runs": rows}, indent=1)
    (options.results / "cluster.json").write_text(text + "\n", encoding="utf-8")
    good = all(row["exit"] == 0 and row["difference"] is None for row in rows)
    return EXIT_OK if good else EXIT_FAILED


def _difference(row: dict[str, Any], fault: Fault, runs: Path, name: str) -> str | None:
    """What is not as it should be, in words."""
    if row["exit"] != EXIT_OK:
        return f"no tables; {runs / name / 'log'} says why"
    missing = fault.missing(row["events"])
    if missing is not None:
        return f"the fault did not happen: {missing}"
    return first_difference(runs / "local" / "tags", runs / name / "tags")


def _source(folder: Path, images: Path | None, limit: int) -> tuple[int, Path]:
    count, _ = prepare(Workload(str(folder), "default", (), Split(2, 1)), images, limit, delta=True)
    return count, folder / "photos.delta"


def _local(folder: Path, source: Path, packed: Packed, images: int) -> dict[str, Any]:
    folder.mkdir(parents=True)
    unpack_bundle(packed, folder)
    jars = ",".join(map(str, delta_jars()))
    settings = {"spark.pyspark.python": sys.executable, "spark.jars": jars,
                "spark.driver.extraJavaOptions": ""}  # fmt: skip
    outcome = submit(folder, source, "local[2,4]", settings)
    row = _row("local[2]", outcome, folder, images)
    say(line(row))
    return row


def _on_cluster(
    folder: Path, source: Path, packed: Packed, images: int, fault: Fault
) -> dict[str, Any]:
    folder.mkdir(parents=True)
    unpack_bundle(packed, folder)
    with StandaloneCluster(folder / "cluster") as cluster:
        for name in fault.workers:
            cluster.add_worker(name)
        disturb = fault.disturb
        outcome = submit(
            folder, source, cluster.url, cluster_settings(packed) | fault.settings,
            None if disturb is None else lambda staging: disturb(cluster, staging),
        )  # fmt: skip
    return _row(fault.title, outcome, folder, images)


def _row(case: str, outcome: Outcome, folder: Path, images: int) -> dict[str, Any]:
    rate = None
    if outcome.exit_code == 0:
        runs = DeltaTable(str(folder / "tags" / "tagging_runs")).to_pyarrow_table().to_pylist()
        rate = round(runs[-1]["images_per_second"], 2)
    return {
        "case": case, "exit": outcome.exit_code, "seconds": round(outcome.seconds, 1),
        "images_per_second": rate, "events": dict(outcome.events), "happened": outcome.happened,
        "difference": None,
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """A run in one line, for the way."""
    equal = "equal" if row["difference"] is None else row["difference"]
    return f"{row['case']}: exit code {row['exit']}, {row['seconds']} s, {equal}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """A line for each run."""
    lines = [COLUMNS]
    for row in rows:
        events = row["events"]
        equal = "equal" if row["difference"] is None else row["difference"]
        lines.append((
            row["case"], str(row["exit"]), f"{row['seconds']:.1f}",
            "" if row["images_per_second"] is None else f"{row['images_per_second']:.1f}",
            *(str(events.get(name, 0)) for name in
              ("tasks", "failed tasks", "speculative", "executors", "executors lost")),
            "-" if row is rows[0] else equal,
        ))  # fmt: skip
    widths = [max(len(cells[i]) for cells in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(cells, widths, strict=True)).rstrip()
        for cells in lines
    )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

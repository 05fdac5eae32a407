"""How the job's seconds grow with the number of images, and fall with the number of tasks.

    python -m benchmarks.growth [--images DIR] [--count 500 --count 1000] [--tasks 1 --tasks 2]

The photos of a folder (or drawn pictures) are repeated, each time with other bytes at the end, so
that each is an image of its own; see `refresh_cost.photos_of`. Every measurement is a full run in
a process of its own, in local mode with so many tasks (``local[1]``, ``local[2]``), one thread
each. ``seconds`` is all that the process took; ``run_seconds`` leaves out Spark's start;
``tagging_seconds`` also leaves out the run's checks, plan and views. Models load within all three.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.refresh_cost import ROWS_A_FILE, Place, photos_of, put_source
from benchmarks.side_by_side.rounds import environment, machine
from benchmarks.side_by_side.workload import REPOSITORY, Split, Workload, cores, prepare
from jeans_udf.bundle import open_bundle
from jeans_udf.config import load_config
from jeans_udf.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, JeansError, UsageError
from jeans_udf.session import build_session
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.tagging import run_tagging

COUNTS = (500, 1000, 2000, 4000)
TASKS = (1, 2)
RESULTS = REPOSITORY / "benchmarks" / "results"
FIGURES = ("seconds", "run_seconds", "tagging_seconds")


def write_sources(photos: Path, folder: Path, counts: Sequence[int]) -> None:
    """A Delta source for each count."""
    spark = build_session("growth")
    try:
        for count in counts:
            place = Place(folder / str(count), count)
            put_source(spark, place, photos_of(spark, photos, count), ROWS_A_FILE["photos"])
    finally:
        spark.stop()


def run_once(place: Place, tasks: int, bundle: str, settings: Sequence[str]) -> dict[str, Any]:
    """A full run in a process of its own."""
    shutil.rmtree(place.output, ignore_errors=True)
    result, log = place.folder / "result.json", place.folder / "log.txt"
    result.unlink(missing_ok=True)
    task = {"source": place.source, "output": f"{place.output}/", "tasks": tasks,
            "bundle": bundle, "settings": list(settings), "result": str(result)}  # fmt: skip
    begin = time.perf_counter()
    with log.open("w") as file:
        code = subprocess.run(
            [sys.executable, "-m", "benchmarks.growth", "--child", json.dumps(task)],
            cwd=REPOSITORY, env=environment("job"), stdout=file, stderr=file, check=False,
        ).returncode  # fmt: skip
    seconds = time.perf_counter() - begin
    if code or not result.exists():
        end = log.read_text(errors="replace")[-3000:]
        raise JeansError(f"{place.count} images, {tasks} tasks: exit code {code}\n{end}")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found | {"seconds": seconds}


def child(task: Mapping[str, Any]) -> None:
    """The run itself."""
    config = load_config(overrides=[f"bundle={task['bundle']}", *task["settings"]])
    spark = build_session("growth", master=f"local[{task['tasks']},4]")
    try:
        run = run_tagging(
            spark, parse_table(task["source"]), parse_output(task["output"]),
            open_bundle(task["bundle"]), config,
        )  # fmt: skip
    finally:
        spark.stop()
    found = {"run_seconds": run.wall_seconds, "tagging_seconds": run.tagging_seconds,
             "garments": run.garments}  # fmt: skip
    Path(task["result"]).write_text(json.dumps(found), encoding="utf-8")


def row_of(count: int, tasks: int, rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON object of one point: medians, and the seconds of every round."""
    row: dict[str, Any] = {"images": count, "tasks": tasks, "garments": rounds[-1]["garments"]}
    for key in FIGURES:
        row[key] = round(statistics.median(one[key] for one in rounds), 2)
    row["seconds_of_rounds"] = [round(one["seconds"], 2) for one in rounds]
    return row | {"images_per_second": round(count / row["tagging_seconds"], 3)}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each point; ``by images``: tagging seconds by those of the count before it."""
    header = ("images", "tasks", "seconds", "run", "tagging", "images/s", "by images", "by tasks")
    lines = [header]
    for row in rows:
        same = [r for r in rows if r["tasks"] == row["tasks"] and r["images"] < row["images"]]
        few = [r for r in rows if r["images"] == row["images"] and r["tasks"] < row["tasks"]]
        lines.append((
            str(row["images"]), str(row["tasks"]), f"{row['seconds']:.1f}",
            f"{row['run_seconds']:.1f}", f"{row['tagging_seconds']:.1f}",
            f"{row['images_per_second']:.2f}",
            f"x {row['tagging_seconds'] / same[-1]['tagging_seconds']:.2f}" if same else "",
            f"x {row['tagging_seconds'] / few[-1]['tagging_seconds']:.2f}" if few else "",
        ))  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def draw(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Seconds against images, a line for each number of tasks, as a PNG."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for tasks in sorted({row["tasks"] for row in rows}):
        points = sorted((r["images"], r["seconds"]) for r in rows if r["tasks"] == tasks)
        axes.plot(*zip(*points, strict=True), "o-", label=f"{tasks} task{'s' * (tasks > 1)}")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("images")
    axes.set_ylabel("seconds of the whole run, start-up included")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=__doc__,
        epilog="written: RESULTS/growth.json (an object a point), RESULTS/growth.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--images", type=Path, metavar="DIR", help="folder of photos (default: drawn pictures)")
    add("--limit", type=int, default=500, metavar="N",
        help="photos that are repeated, spread over the folder (default: 500)")  # fmt: skip
    add("--count", type=int, action="append", metavar="N",
        help=f"images; may be given again (default: {', '.join(map(str, COUNTS))})")  # fmt: skip
    add("--tasks", type=int, action="append", metavar="N",
        help=f"tasks at once; may be repeated (default: {', '.join(map(str, TASKS))})")  # fmt: skip
    add("--rounds", type=int, default=1, metavar="N", help="rounds, alternating (default: 1)")
    add("--bundle", default="default", help="a bundle's name or directory (default: default)")
    add("--set", action="append", default=[], metavar="KEY=VALUE",
        help="the tagging configuration, as of tag_catalog.py")  # fmt: skip
    add("--results", type=Path, default=RESULTS, metavar="DIR",
        help="where figures and chart go (default: benchmarks/results)")  # fmt: skip
    add("--work", type=Path, default=Path("build/growth"), metavar="DIR",
        help="photos and tables of the run; emptied first (default: build/growth)")  # fmt: skip
    add("--child", help=argparse.SUPPRESS)
    return parser


def measure(options: argparse.Namespace) -> None:
    """All points, the table, the figures, the chart."""
    counts, tasks = sorted(options.count or COUNTS), sorted(options.tasks or TASKS)
    folder = options.work.resolve()
    work = Workload(str(folder), options.bundle, tuple(options.set), Split(cores(), 1))
    prepare(work, options.images, options.limit, delta=False)
    write_sources(work.path("photos"), folder / "sources", counts)
    found: dict[tuple[int, int], list[dict[str, Any]]] = {
        (count, number): [] for number in tasks for count in counts
    }
    for _ in range(options.rounds):
        for (count, number), rounds in found.items():
            place = Place(folder / "sources" / str(count), count)
            rounds.append(run_once(place, number, options.bundle, options.set))
            print(f"{count} images, {number} tasks: {rounds[-1]['seconds']:.1f} s",
                  file=sys.stderr, flush=True)  # fmt: skip
    rows = [row_of(count, number, rounds) for (count, number), rounds in found.items()]
    print(table(rows))
    options.results.mkdir(parents=True, exist_ok=True)
    for name, values in (("growth.json", rows), ("growth_run.json", machine())):
        text = json.dumps(values, indent=1) + "\n"
        (options.results / name).write_text(text, encoding="utf-8")
    draw(rows, options.results / "growth.png")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if options.child:
            child(json.loads(options.child))
        else:
            measure(options)
    except UsageError as error:
        print(f"growth: {error}", file=sys.stderr)
        return EXIT_USAGE
    except JeansError as error:
        print(f"growth: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

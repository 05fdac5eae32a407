"""The tagging job beside what a user would pick instead: same photos, models, machine and run.

Every round of every row runs in a process of its own; rounds alternate; the table shows medians.
What stands before the clock, in every row: starting processes or a cluster, loading the models,
a few photos through them. Then the clock runs until the last garment is there (and written, in
the rows that write). The garments of every row are compared with the job's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.side_by_side import figures
from benchmarks.side_by_side.chart import draw
from benchmarks.side_by_side.compare import compare
from benchmarks.side_by_side.registry import ROWS, choose_rows
from benchmarks.side_by_side.rounds import find_splits, machine, run_rounds
from benchmarks.side_by_side.workload import REPOSITORY, Split, Workload, cores, prepare
from jeans_udf.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, JeansError, UsageError

RESULTS = REPOSITORY / "benchmarks" / "results"
TRIAL_PHOTOS = 100
"""Photos on which splits of the cores are tried."""


def more() -> str:
    """The rows, for --help."""
    lines = ["rows, and what their seconds include:"]
    for letter, (name, row) in zip("abcdefghijklmnopqrstuvwxyz", ROWS.items(), strict=False):
        lines.append(f"  {letter} {name:<18} {row.title}\n      {row.includes}")
    lines.append("""
All rows but default_predictor run the product's own models (`Tagger`), on the engine that the
configuration chooses; default_predictor is plain torch, one image and one crop at a time.

examples:
  make benchmark                              drawn pictures, every row, three rounds
  make benchmark IMAGES=photos                your own pictures
  python -m benchmarks.side_by_side --images photos --rows a,b,job --rounds 5
  python -m benchmarks.side_by_side --images photos --limit 40 --rounds 1 --rows ray_data,job

written: RESULTS/latest.json (an object a row: name, images_per_second of every round, median,
garments, ...), RESULTS/latest_run.json (machine, versions, splits tried, differences),
RESULTS/latest.png
exit codes: 0 fine; 1 a row failed; 2 something is missing or wrong, nothing was measured""")
    return "\n".join(lines)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.side_by_side", description=__doc__, epilog=more(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--images", type=Path, metavar="DIR", help="folder of photos (default: drawn pictures)")
    add("--limit", type=int, default=300, metavar="N",
        help="photos to take, spread over the folder (default: 300)")  # fmt: skip
    add("--rounds", type=int, default=3, metavar="N", help="alternating rounds (default: 3)")
    add("--rows", metavar="A,B", type=lambda text: text.split(","),
        help="rows to run, by name or letter (default: all)")  # fmt: skip
    add("--bundle", default="default", help="a bundle's name or directory (default: default)")
    add("--set", action="append", default=[], metavar="KEY=VALUE",
        help="the tagging configuration, as of tag_catalog.py")  # fmt: skip
    add("--split", metavar="PxT", type=_split,
        help="processes x threads for loops and frameworks, instead of trying")  # fmt: skip
    add("--batch-size", type=int, default=0, metavar="N",
        help="images that a framework hands over at once (default: the best found)")  # fmt: skip
    add("--results", type=Path, default=RESULTS, metavar="DIR",
        help="where figures and chart go (default: benchmarks/results)")  # fmt: skip
    add("--work", type=Path, default=Path("build/benchmark"), metavar="DIR",
        help="photos and tables of the run; emptied first (default: build/benchmark)")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        run(options)
    except UsageError as error:
        print(f"side_by_side: {error}", file=sys.stderr)
        return EXIT_USAGE
    except JeansError as error:
        print(f"side_by_side: {error}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def run(options: argparse.Namespace) -> None:
    rows = choose_rows(options.rows)
    work = Workload(
        str(options.work.resolve()), options.bundle, tuple(options.set), Split(cores(), 1),
        options.batch_size,
    )  # fmt: skip
    images, left_out = prepare(work, options.images, options.limit, delta="job" in rows)
    say(f"{images} photos ({left_out} unreadable files left out), {cores()} cores")
    chosen: dict[str, Split] = {}
    tried: dict[str, dict[str, list[float]]] = {}
    if options.split:
        chosen = {"decoding_loop": options.split, "bare_loop": options.split}
    # Spark has its own split: a task for each core.
    elif not set(rows) <= {"job", "default_predictor", "predict_batch_udf"}:
        chosen, tried = find_splits(rows, work, cores(), min(images, TRIAL_PHOTOS), say)

    def work_of(row: str) -> Workload:
        common = chosen.get("decoding_loop", chosen.get("bare_loop", work.split))
        return replace(work, split=chosen.get(row, common))

    rounds = run_rounds(rows, options.rounds, work_of, images, say)
    write(options.results, rows, rounds, images, {
        "images": images, "unreadable": left_out, "cores": cores(), "bundle": options.bundle,
        "settings": options.set, "rounds": options.rounds, "splits_tried": tried, **machine(),
    })  # fmt: skip


def write(
    results: Path,
    rows: Sequence[str],
    rounds: dict[str, list[dict[str, Any]]],
    images: int,
    about: dict[str, Any],
) -> None:
    """Print the table; write figures and chart."""
    reference = "job" if "job" in rows else rows[0]
    wanted = rounds[reference][-1]["outputs"]
    found, examples = [], {}
    for row in rows:
        difference = compare(rounds[row][-1]["outputs"], wanted)
        told = "-" if row == reference else str(difference)
        examples[row] = list(difference.examples)
        found.append(figures.row_figures(row, ROWS[row].title, images, rounds[row], told))
    print(figures.table(found))
    for one in found:
        for what, seconds in one["further_seconds"].items():
            print(f"{one['title']}: {what.replace('_', ' ')} {seconds} s")
    for row, lines in examples.items():
        for line in lines:
            print(f"{row}: {line}")
    results.mkdir(parents=True, exist_ok=True)
    about |= {"compared_with": reference, "examples_of_differences": examples}
    for name, values in (("latest.json", found), ("latest_run.json", about)):
        (results / name).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    subtitle = f"{images} photos, {about['cores']} cores, medians of {about['rounds']}"
    draw(found, subtitle, results / "latest.png")
    say(f"written: {results}/latest.json, latest_run.json, latest.png")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _split(text: str) -> Split:
    processes, _, threads = text.partition("x")
    return Split(int(processes), int(threads))


if __name__ == "__main__":
    sys.exit(main())

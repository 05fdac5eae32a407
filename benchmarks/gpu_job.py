"""The job on a standalone cluster whose one worker has this machine's GPU, which its tasks share.

    python -m benchmarks.gpu_job --images DIR --count 4000 --tasks 1,4,8 --precision fp16

A master and a worker on loopback; the worker finds the GPU by scripts/find_gpus.sh, its executor
takes it, each task an equal share of it, as in conf/spark/gpu.conf; the other settings are those of
conf/spark/standalone.conf. The photos are repeated, each time
with other bytes at the end, as in benchmarks.growth. Every row is a run of its own into an output
of its own. ``tagging`` counts from reading the images to the last commit, the models' start
included. How busy the GPU is is what nvidia-smi says of the whole run: start, plan and commits lie
within it. Memory is the most that was seen at once. ``--share`` sets the share of a task apart from
their number, to see what tasks do with too little. ``--discovery`` and ``--kind cpu`` try it all
out on a machine without a GPU.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from benchmarks.cluster.standalone import HOST, StandaloneCluster
from benchmarks.cluster.submit import submit
from benchmarks.gpu_pass import Busy
from benchmarks.growth import write_sources
from benchmarks.memory_watch import MemoryWatch
from benchmarks.refresh_cost import Place
from benchmarks.side_by_side.workload import REPOSITORY
from jeans_udf.bundle import open_bundle
from jeans_udf.errors import EXIT_FAILED, EXIT_OK, JeansError
from jeans_udf.session import delta_jars


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_job", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--images", required=True, type=Path, metavar="DIR", help="folder of photos")
    add("--count", type=int, default=4000, metavar="N", help="images to tag (default: 4000)")
    add("--tasks", default="8", metavar="A,B", help="tasks that share the GPU (default: 8)")
    add("--precision", default="fp16", metavar="A,B", help="fp32, bf16, fp16 (default: fp16)")
    add("--share", type=float, metavar="X", help="of the GPU, a task (default: 1/tasks)")
    add("--by-stage", action="store_true",
        help="the pass alone asks for its share (stage.task_gpus), not every stage")  # fmt: skip
    add("--kind", default="cuda", choices=("cuda", "cpu"), help="device.kind (default: cuda)")
    add("--discovery", type=Path, default=REPOSITORY / "scripts" / "find_gpus.sh", metavar="FILE",
        help="script that tells the worker its GPUs")  # fmt: skip
    add("--work", type=Path, default=Path("build"), metavar="DIR",
        help="where gpu_job/ with sources, logs and tables goes (default: build)")  # fmt: skip
    add("--output", type=Path, metavar="FILE", help="a JSON file; written after every row")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    work = options.work.resolve() / "gpu_job"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write_sources(options.images.resolve(), work, (options.count,))
    with tarfile.open(work / "bundle.tar.gz", "w:gz", compresslevel=1) as archive:
        archive.add(open_bundle("default").directory, arcname=".")
    rows: list[dict[str, Any]] = []
    for precision in options.precision.split(","):
        for tasks in map(int, options.tasks.split(",")):
            try:
                rows.append(run(options, work, tasks, precision))
            except JeansError as error:
                print(f"gpu_job: {error}", file=sys.stderr)
                return EXIT_FAILED
            print(line(rows[-1]), flush=True)
            if options.output:
                told = {"device": device(), "cpus": os.cpu_count(), "rows": rows}
                options.output.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return EXIT_OK if all(row["exit"] == EXIT_OK for row in rows) else EXIT_FAILED


def run(options: argparse.Namespace, work: Path, tasks: int, precision: str) -> dict[str, Any]:
    """One run; its figures."""
    # Rounded down: fourteen shares of 0.0714286 are more than a GPU, and one task would wait.
    share = options.share or math.floor(1e6 / tasks) / 1e6
    folder = work / f"{precision}-{tasks}-{share:g}"
    (folder / "bundle").mkdir(parents=True)
    with tarfile.open(work / "bundle.tar.gz") as archive:
        archive.extractall(folder / "bundle", filter="data")
    gpus = {
        "spark.worker.resource.gpu.amount": "1",
        "spark.worker.resource.gpu.discoveryScript": str(options.discovery.resolve()),
    }
    memory = 1 + tasks
    with StandaloneCluster(folder / "cluster", gpus) as cluster:
        cluster.add_worker("one", cores=tasks, memory=f"{memory}g")
        settings = {
            "spark.archives": f"{work / 'bundle.tar.gz'}#bundle",
            "spark.pyspark.python": sys.executable,
            "spark.pyspark.driver.python": sys.executable,
            # The executor runs this environment and this checkout, not an archive.
            "spark.executorEnv.PYTHONPATH": os.pathsep.join(
                filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])
            ),
            "spark.jars": ",".join(map(str, delta_jars())),
            "spark.driver.host": HOST, "spark.driver.bindAddress": HOST,
            "spark.executor.cores": str(tasks), "spark.executor.memory": f"{memory}g",
            "spark.executor.resource.gpu.amount": "1",
            "spark.default.parallelism": str(tasks),
            "spark.dynamicAllocation.enabled": "false",
            "spark.sql.shuffle.partitions": "8",
            "spark.databricks.delta.snapshotPartitions": "2",
        }  # fmt: skip
        asked = ["--set", "bundle=./bundle/", "--set", f"device.kind={options.kind}",
                 "--set", f"device.precision={precision}"]  # fmt: skip
        if options.by_stage:
            asked += ["--set", f"stage.task_gpus={share:g}"]
        else:
            settings["spark.task.resource.gpu.amount"] = f"{share:g}"
        with Busy() as busy, MemoryWatch() as watch:
            outcome = submit(
                folder, Path(Place(work / str(options.count), options.count).source), cluster.url,
                settings, arguments=asked,
            )
    row = {
        "precision": precision, "tasks": tasks, "share": share, "exit": outcome.exit_code,
        "seconds": round(outcome.seconds, 1), "images": options.count,
        "busy": round(statistics.mean(busy.seen), 3) if busy.seen else None,
        "gpu_bytes": busy.most_bytes, "host_bytes": dict(watch.peaks),
        "failed_tasks": outcome.events["failed tasks"], "by_stage": options.by_stage,
    }  # fmt: skip
    if outcome.exit_code != EXIT_OK:
        print((folder / "log").read_text(errors="replace")[-3000:], file=sys.stderr)
        return row
    (last,) = DeltaTable(f"{folder}/tags/tagging_runs").to_pyarrow_table().to_pylist()[-1:]
    return row | {
        "images_per_second": last["images_per_second"],
        "garments": last["garments"],
        "statuses": dict(last["status_counts"]),
    }


def device() -> str:
    """What nvidia-smi calls the GPU."""
    if shutil.which("nvidia-smi") is None:
        return "none"
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def line(row: dict[str, Any]) -> str:
    """A run in one line."""
    gigabytes = ", ".join(f"{kind} {peak / 1e9:.2f} GB" for kind, peak in row["host_bytes"].items())
    busy = "?" if row["busy"] is None else f"{row['busy']:.2f}"
    return (
        f"{row['precision']} {row['tasks']:2} tasks, share {row['share']:g}: exit {row['exit']}, "
        f"{row['seconds']} s, {row.get('images_per_second', float('nan')):.1f} images/s tagging, "
        f"{row.get('garments')} garments, {row.get('statuses')}, "
        f"{row['failed_tasks']} failed tasks, GPU busy {busy} of the run, "
        f"GPU memory {(row['gpu_bytes'] or 0) / 1e9:.1f} GB; {gigabytes}"
    )


if __name__ == "__main__":
    sys.exit(main())

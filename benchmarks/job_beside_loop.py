"""The tagging job beside a bare loop of the same models over the same photos, in the same run.

The loop is what the models alone cost: as many processes as Spark runs tasks, one thread each;
decode, detect in batches, cut, classify; nothing is encoded or written. Rounds alternate; medians.
Start-up (Spark, loading the models) is left out of both.

    python benchmarks/job_beside_loop.py --images DIR [--rounds 3] [--limit 300]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import torch
from pyspark.sql import SparkSession

from jeans_udf.bundle import open_bundle
from jeans_udf.config import load_config
from jeans_udf.images import decode_image
from jeans_udf.session import COMMON_SETTINGS, build_session
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.tagging import run_tagging


def loop_share(
    files: list[str], bundle: str, ready: Queue, start: Event, done: Queue
) -> None:
    """One process of the bare loop."""
    from jeans_udf.tagger import Tagger

    torch.set_num_threads(1)
    config = load_config()
    tagger = Tagger(open_bundle(bundle), config, torch.device("cpu"))
    ready.put(1)
    start.wait()
    garments, waiting = 0, {}

    def flush(group: list) -> int:
        results = tagger.detector.detect([canvas for _, canvas in group])
        found = [tagger.cut(pixels, d) for (pixels, _), d in zip(group, results, strict=True)]
        tagger.classify([garment for garments in found for garment in garments])
        return sum(len(tagger.kept(garments)) for garments in found)

    for file in files:
        pixels = decode_image(Path(file).read_bytes(), config.images)
        canvas = tagger.detector.prepare(pixels)
        group = waiting.setdefault(canvas.shape, [])
        group.append((pixels, canvas))
        if (len(group) + 1) * canvas.shape[0] * canvas.shape[1] > config.device.batch_pixels:
            garments += flush(waiting.pop(canvas.shape))
    garments += sum(flush(group) for group in waiting.values())
    done.put(garments)


def bare_loop(files: list[str], bundle: str, processes: int) -> tuple[float, int]:
    """(seconds, garments) of one round, models loaded before."""
    # The same allocator settings as the job's Python workers.
    prefix = "spark.executorEnv."
    os.environ |= {k.removeprefix(prefix): v for k, v in COMMON_SETTINGS.items() if prefix in k}
    context = multiprocessing.get_context("spawn")
    ready, done, start = context.Queue(), context.Queue(), context.Event()
    workers = [
        context.Process(target=loop_share, args=(files[n::processes], bundle, ready, start, done))
        for n in range(processes)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.get()
    began = time.perf_counter()
    start.set()
    garments = sum(done.get() for _ in workers)
    seconds = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return seconds, garments


def job_round(spark: SparkSession, source: str, output: Path, bundle: str) -> tuple[float, int]:
    """(seconds of tagging, garments) of one full run; the workers are warm from the one before."""
    shutil.rmtree(output, ignore_errors=True)
    config = load_config(overrides=[f"bundle={bundle}"])
    target = parse_output(f"{output}/")
    run = run_tagging(spark, parse_table(source), target, open_bundle(bundle), config)
    return run.tagging_seconds, run.garments


def figures(name: str, seconds: list[float], images: int, garments: int) -> dict[str, object]:
    rates = [images / s for s in seconds]
    return {"name": name, "images_per_second": rates, "median": statistics.median(rates),
            "garments": garments}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--work", type=Path, default=Path("build/benchmark"))
    args = parser.parse_args()
    files = [str(p) for p in sorted(args.images.iterdir()) if p.is_file()]
    files = files[:: max(1, len(files) // args.limit)][: args.limit]
    shutil.rmtree(args.work, ignore_errors=True)
    photos = args.work / "photos"
    photos.mkdir(parents=True)
    for file in files:
        (photos / Path(file).name).write_bytes(Path(file).read_bytes())
    spark = build_session("benchmark")
    source = f"{args.work}/product_images"
    subprocess.run([sys.executable, "jobs/ingest_images.py", "--images", str(photos),
                    "--table", source], check=True)  # fmt: skip
    processes = spark.sparkContext.defaultParallelism
    job_round(spark, source, args.work / "tags", args.bundle)  # loads the models, not counted
    loop, job = [], []
    for number in range(args.rounds):
        seconds, loop_garments = bare_loop(files, args.bundle, processes)
        loop.append(seconds)
        seconds, job_garments = job_round(spark, source, args.work / "tags", args.bundle)
        job.append(seconds)
        print(f"round {number + 1}: loop {len(files) / loop[-1]:.1f}, job "
              f"{len(files) / job[-1]:.1f} images/s", flush=True)
    rows = [figures("bare loop", loop, len(files), loop_garments),
            figures("job", job, len(files), job_garments)]  # fmt: skip
    result = {"images": len(files), "processes": processes, "cpus": os.cpu_count(), "rows": rows,
              "job_by_loop": rows[1]["median"] / rows[0]["median"]}  # fmt: skip
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

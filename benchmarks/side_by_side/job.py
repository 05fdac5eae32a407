"""This job: `run_tagging` from a Delta source to the committed Delta tables, in local mode.

The clock is the run's own, ``tagging_seconds``: reading, the models in their own processes,
staging, the commits. What a run costs whatever its size (its checks, planning, views, its row) is
told beside it as ``whole_run``. A run over a few photos goes before, in the same session.
"""

from __future__ import annotations

import time
from dataclasses import replace

from deltalake import DeltaTable
from pyspark.sql import SparkSession

from benchmarks.side_by_side.outcome import Clock, Outcome, Outputs, outputs_of
from benchmarks.side_by_side.workload import Split, Workload
from jeans_udf.runs import Run
from jeans_udf.session import build_session
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.tagging import run_tagging


def measure(work: Workload) -> Outcome:
    """A run over all photos, the workers' models loaded by the one before."""
    # One thread a task and as many tasks as cores: Spark's own way to use a machine.
    spark = build_session("benchmark", master=f"local[{work.cores},4]")
    try:
        _run(spark, work, "warm")
        clock = Clock()
        begin = time.perf_counter()
        run = _run(spark, work, "photos")
        whole = time.perf_counter() - begin
    finally:
        spark.stop()
    settings = {"processes": work.cores, "threads": 1}
    outputs = tagged(f"{work.path('tags')}/job-photos")
    return Outcome(run.tagging_seconds, clock.ready_at, outputs, settings, {"whole_run": whole})


def _run(spark: SparkSession, work: Workload, name: str) -> Run:
    config = replace(work, split=Split(1, 1)).config()
    output = parse_output(f"{work.fresh(f'job-{name}')}/")
    source = parse_table(f"{work.path(name)}.delta/")
    return run_tagging(spark, source, output, work.open_bundle(), config)


def tagged(output: str) -> Outputs:
    """The garments of every image in the job's tables; images without one have none."""
    garments: dict[str, list[dict[str, object]]] = {}
    for key in DeltaTable(f"{output}/image_status").to_pyarrow_table(columns=["image_id"])[0]:
        garments[key.as_py()] = []
    table = DeltaTable(f"{output}/garments").to_pyarrow_table(
        columns=["image_id", "category", "attributes"]
    )
    for row in table.to_pylist():
        garments[row["image_id"]].append({"category": row["category"], "labels": row["attributes"]})
    return outputs_of({"image_id": key, "garments": found} for key, found in garments.items())

"""What the two rows of plain Spark share: a session without the job's settings, and the query."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from benchmarks.side_by_side.outcome import Clock, Outcome, read_outputs
from benchmarks.side_by_side.workload import Workload

RECORDS_A_BATCH = 128
"""Images in one Arrow batch: Spark's 10,000 would hold a partition's photos in memory at once."""


def plain_session(work: Workload) -> SparkSession:
    """Spark on this machine's cores, Arrow on; all else is Spark's default."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    settings = {
        "spark.driver.memory": "4g",
        "spark.driver.host": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(RECORDS_A_BATCH),
    }
    builder = SparkSession.builder.appName("benchmark").master(f"local[{work.cores}]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def run_query(spark: SparkSession, work: Workload, tags: Column, name: str) -> Outcome:
    """Photos of Parquet through the UDF ``tags`` (a struct with ``garments``) to Parquet.

    A query over the warm photos goes before: its Python workers, with their models, are reused.
    """
    for source in ("warm", "photos"):
        clock = Clock()
        photos = spark.read.parquet(f"{work.path(source)}.parquet")
        if source == "warm":
            # A task for each core, or one worker might be left without its models.
            photos = photos.repartition(work.cores)
        output = work.fresh(f"{name}-{source}")
        rows = photos.select("image_id", tags.alias("tags")).select("image_id", F.col("tags.*"))
        rows.write.parquet(str(output))
        seconds = clock.seconds()
    spark.stop()
    return Outcome(seconds, clock.ready_at, read_outputs(Path(output)))

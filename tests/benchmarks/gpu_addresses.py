"""Submitted by test_cluster: what tasks of the pass get of an executor's GPUs, as JSON.

    gpu_addresses.py FILE
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pyspark import TaskContext

from jeans_udf.config import Stage
from jeans_udf.resources import pixel_profile
from jeans_udf.session import build_session


def look(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    context = TaskContext.get()
    assert context is not None
    for frame in frames:
        print("a line of a worker", file=sys.stderr)
        # Long enough for two tasks to be at work beside one another.
        time.sleep(0.5)
        addresses = ",".join(context.resources()["gpu"].addresses)
        yield pd.DataFrame({"id": frame["id"], "address": addresses, "cpus": context.cpus()})


if __name__ == "__main__":
    spark = build_session("gpu_addresses")
    spark.sparkContext.setLocalProperty("mdc.run_id", "the-run-of-the-test")
    profile = pixel_profile(spark, Stage(task_gpus=1.0))
    numbers = spark.range(0, 4, numPartitions=4)
    rows = numbers.mapInPandas(look, "id long, address string, cpus int", profile=profile)
    # Without a profile a stage gets no GPU of its own.
    Path(sys.argv[1]).write_text(json.dumps([row.asDict() for row in rows.collect()]))
    spark.stop()

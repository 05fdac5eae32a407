"""Spark's own way to run a model: `pyspark.ml.functions.predict_batch_udf`.

After its documentation: https://spark.apache.org/docs/latest/api/python/reference/api/
pyspark.ml.functions.predict_batch_udf.html. ``make_predict_fn`` loads the models once a Python
worker; ``predict`` gets ``batch_size`` images as a 1-dimensional array and returns a row-oriented
list of dictionaries, whose arrays are numpy's. Spark hands an image's bytes over; decoding, the
models (the product's `Tagger`), PNG and RLE are all within ``predict``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType

from benchmarks.side_by_side import spark_rows
from benchmarks.side_by_side.outcome import Outcome
from benchmarks.side_by_side.passes import SCHEMA
from benchmarks.side_by_side.workload import Split, Workload

BATCH_SIZE = 64
"""Images given to ``predict``: several device batches of equal canvases can be formed of them."""

Predict = Callable[[np.ndarray, np.ndarray], list[dict[str, Any]]]


def measure(work: Workload) -> Outcome:
    """A task for each core, one thread each: Spark's own split."""
    batch_size = work.batch_size or BATCH_SIZE
    own = replace(work, split=Split(work.cores, 1))
    garments = StructField("garments", from_arrow_type(SCHEMA.field("garments").type))
    in_worker = replace(own, split=Split(1, 1))
    make: Any = lambda: make_predict(in_worker)  # noqa: E731  (Spark's types know one column)
    tag = predict_batch_udf(
        make,
        return_type=StructType([garments]),
        batch_size=batch_size,
    )
    spark = spark_rows.plain_session(own)
    outcome = spark_rows.run_query(
        spark, own, tag(F.col("image_id"), F.col("image")), "predict_batch_udf"
    )
    outcome.settings = {"processes": own.cores, "threads": 1, "batch_size": batch_size}
    return outcome


def make_predict(work: Workload) -> Predict:
    """Load the models; called once a Python worker."""
    from benchmarks.side_by_side import passes

    tagger = passes.open_tagger(work)

    def predict(image_ids: np.ndarray, images: np.ndarray) -> list[dict[str, Any]]:
        rows = passes.tag_images(tagger, list(image_ids), list(images))
        return [{"garments": np.array(row["garments"], dtype=object)} for row in rows]

    return predict

"""Delta's logs read ahead: while the models work, not when their rows wait for a commit."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

from jeans_udf import tables
from jeans_udf.commit import Catalog
from jeans_udf.table_names import Table


@contextmanager
def logs_read_ahead(spark: SparkSession, catalog: Catalog) -> Iterator[None]:
    """Delta reads the logs of the batch's tables while the block tags its images.

    Each commit has to know its table's state, and would read the log by itself with the cores
    idle: most of a second a batch.
    """
    written = (catalog.image_detections, catalog.garment_crops, catalog.garments,
               catalog.image_status)  # fmt: skip
    reading = threading.Thread(
        target=inheritable_thread_target(spark)(partial(_read_logs, spark, written)),
        name="logs", daemon=True,
    )  # fmt: skip
    reading.start()
    yield
    reading.join()


def _read_logs(spark: SparkSession, written: Sequence[Table]) -> None:
    for table in written:
        try:
            tables.read_log(spark, table)
        except Exception:  # the commit itself will say what is wrong
            return

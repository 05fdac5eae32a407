"""A source's change feed as a Structured Streaming query that ends with the present."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from jeans_udf import tables
from jeans_udf.batch import BatchTagger
from jeans_udf.errors import JeansError
from jeans_udf.sources import Source

POLL_SECONDS = 0.2

GONE = re.compile(
    r"FILE_NOT_EXIST|FILE_NOT_FOUND|FileNotFoundException|VERSIONS?_NOT_CONTIGUOUS"
    r"|VERSION_NOT_FOUND|MISSING_CHANGE_DATA|CHANGE_DATA_NOT_RECORDED|CHANGE_TABLE_FEED_DISABLED"
    r"|DELTA_SCHEMA_CHANGE|SCHEMA_CHANGED|LOG_FILE_NOT_FOUND|TRUNCATED_TRANSACTION_LOG",
)
"""What Delta and Spark call history that VACUUM, log retention or another schema has cut off."""


class FeedGone(Exception):
    """The feed cannot be followed on from where the last run stopped."""


def run_stream(
    spark: SparkSession,
    source: Source,
    options: Mapping[str, str],
    checkpoint: str,
    batch: BatchTagger,
) -> None:
    """Give ``batch`` every change until there are no more.

    Raises `FeedGone` when the history that the checkpoint asks for is not there, otherwise what
    the batch raised.
    """
    batch.error = None
    query = (
        tables.stream_changes(spark, source.table, options)
        .writeStream.foreachBatch(batch)
        .option("checkpointLocation", checkpoint)
        .trigger(availableNow=True)
        .start()
    )
    try:
        while not query.awaitTermination(POLL_SECONDS):  # type: ignore[arg-type]
            if batch.display is not None:
                batch.display.refresh()
    except StreamingQueryException as error:
        told = batch.error if batch.error is not None else error
        if batch.planning and GONE.search(str(told)):
            raise FeedGone(_first_line(told)) from None
        if batch.error is not None:
            raise batch.error from None
        why = _first_line(error)
        raise JeansError(f"table {source}: its changes cannot be read: {why}") from None
    finally:
        query.stop()


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:300]

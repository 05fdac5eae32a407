"""A source without a change feed, or a choice of its images, compared with what the output holds.

    source ► hash of every image ► action by key, hash and bundle ► ranges of keys ► batches

The batches then go the way of a change feed's. Reading the whole source to hash it is what a
change feed saves; the models still see only what changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jeans_udf import changes, folders
from jeans_udf.changes import FILE_SHA256, Again
from jeans_udf.config import ImageLimits

VERSION = 0
"""Every row is of one state of the source."""

UNITS = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


@dataclass(frozen=True)
class Range:
    """A batch of the comparison: keys from ``first`` to ``last`` that have something to do."""

    number: int
    first: str
    last: str


def as_changes(images: DataFrame, limits: ImageLimits) -> DataFrame:
    """The source's rows as a change feed would give them, with the hashes of files they name."""
    changed = changes.source_columns(images).withColumns(
        {"_change_type": F.lit("insert"), "_commit_version": F.lit(VERSION).cast("long")}
    )
    if "path" not in images.columns:
        return changed
    only_path = F.when(F.col("image").isNull(), F.col("path"))
    return changed.withColumn(FILE_SHA256, _hash_files(limits)(only_path))


def plan_ranges(
    changed: DataFrame,
    image_status: DataFrame,
    model_version: str,
    again: Again,
    folder: str,
    max_bytes: str,
) -> list[Range]:
    """Decide every image's action, keep those with one in ``folder``, and cut them into batches.

    Raises `TableError` for a key that is null or stands twice.
    """
    spark = changed.sparkSession
    plan = changes.decide_actions(
        changes.newest_changes(changed), image_status, model_version, again
    )
    everything, acting = f"{folder}/everything", f"{folder}/acting"
    folders.delete(spark, folder)
    # At rest: the pixels are hashed once, whatever is lost on the way.
    plan.write.parquet(everything)
    plan = spark.read.parquet(everything)
    changes.sum_up(plan)
    todo = plan.where("action <> 'keep'").select("image_id", "bytes")
    size = todo.agg(F.count("*").alias("images"), F.sum("bytes").alias("bytes")).collect()[0]
    if not size.images:
        return []
    batches = max(1, -(-size.bytes // _bytes(max_bytes)))
    todo.repartitionByRange(batches, "image_id").select(
        "image_id", F.spark_partition_id().alias("batch")
    ).write.parquet(acting)
    rows = (
        spark.read.parquet(acting).groupBy("batch")
        .agg(F.min("image_id").alias("first"), F.max("image_id").alias("last")).collect()
    )  # fmt: skip
    return [Range(row.batch, row.first, row["last"]) for row in sorted(rows, key=lambda r: r.batch)]


def changes_of(changed: DataFrame, folder: str, part: Range) -> DataFrame:
    """The rows of one batch."""
    spark = changed.sparkSession
    keys = spark.read.parquet(f"{folder}/acting").where(F.col("batch") == part.number)
    # Between the keys, which databases and Parquet's statistics know how to look up.
    rows = changed.where(F.col("image_id").between(part.first, part.last))
    return rows.join(F.broadcast(keys.select("image_id")), "image_id", "left_semi")


def rejected_images(images: DataFrame, image_status: DataFrame) -> DataFrame:
    """The rows of ``images`` that stand as rejected."""
    rejected = image_status.where("status = 'rejected'").select("image_id")
    return images.join(F.broadcast(rejected), "image_id", "left_semi")


def _hash_files(limits: ImageLimits):  # type: ignore[no-untyped-def]
    @F.pandas_udf("string")  # type: ignore[call-overload]
    def hash_files(parts: Iterator[pd.Series]) -> Iterator[pd.Series]:
        from jeans_udf.errors import Rejected
        from jeans_udf.images import sha256_hex
        from jeans_udf.paths import read_image_file

        def of(path: str | None) -> str | None:
            if path is None:
                return None
            try:
                return sha256_hex(read_image_file(path, limits))
            except Rejected:
                return None

        for part in parts:
            yield part.map(of, na_action="ignore").astype(object)

    return hash_files


def _bytes(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]



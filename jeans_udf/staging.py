"""Tagged rows of a batch, kept as Parquet until all three tables have them.

The pixels are passed over once: every commit reads the staged rows. A batch that was interrupted
between its commits is finished from them, so that the tables cannot disagree about an image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from jeans_udf import folders, tables
from jeans_udf.changes import Planned, key_sum
from jeans_udf.runs import Tally
from jeans_udf.schemas import SECONDS, staged_schema
from jeans_udf.vocabulary import Vocabulary

Tag = Callable[[DataFrame], DataFrame]
"""image_id, product_id, image, path to rows of `schemas.staged_schema`, one an image."""

TARGET_FILE_BYTES = 128 << 20
"""Of the tables' files: about what Delta writes by itself where it decides."""

SMALLEST_FILE_BYTES = 16 << 20
"""Of files that are smaller so that every core writes one."""


@dataclass(frozen=True)
class Staged:
    """Rows at rest, and their counts."""

    rows: DataFrame
    tally: Tally
    files: int
    """Files of a table that would hold them all in the size that readers like."""


def is_staged(spark: SparkSession, folder: str) -> bool:
    """Whether an interrupted run has left the batch's rows in full."""
    return folders.exists(spark, f"{folder}/_SUCCESS")


def stage(
    images: DataFrame, planned: Planned, tag: Tag, folder: str, vocabulary: Vocabulary
) -> Staged:
    """Tag ``images`` into ``folder``, or take what an interrupted run has put there in full.

    Each image to tag must get exactly one row.
    """
    spark = images.sparkSession
    if not is_staged(spark, folder):
        tag(images).write.mode("overwrite").parquet(folder)
    rows = spark.read.schema(staged_schema(vocabulary)).parquet(folder)
    tally, keys = _tally(rows, vocabulary)
    if tally.images != planned.count("tag") or keys != planned.key_sum:
        folders.delete(spark, folder)
        raise RuntimeError(
            f"staged {tally.images} rows for {planned.count('tag')} images; wanted exactly one row "
            "for each: the staged rows were removed, run again"
        )
    files = file_count(folders.size(spark, folder), spark.sparkContext.defaultParallelism)
    return Staged(rows, tally, files)


def file_count(size: int, parallelism: int) -> int:
    """Files for ``size`` bytes: of the target's size, or smaller ones for all cores."""
    busy = min(parallelism, size // SMALLEST_FILE_BYTES)
    return max(1, busy, -(-size // TARGET_FILE_BYTES))


def _tally(rows: DataFrame, vocabulary: Vocabulary) -> tuple[Tally, Decimal]:
    """Counts, and the keys' `changes.key_sum`."""
    stages = [F.sum(f"seconds.{name}").alias(name) for name in SECONDS.names]
    by_outcome = rows.groupBy("status", "reason").agg(
        F.count("*").alias("images"), F.sum("garments").alias("found"),
        F.count(F.when(F.expr("detections IS NULL AND status <> 'rejected'"), 1)).alias("recalled"),
        key_sum().alias("keys"), *stages,
    )  # fmt: skip
    groups, counted = tables.at_once(
        rows.sparkSession, [by_outcome.collect, _label_counts(rows, vocabulary).collect]
    )
    statuses: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for group in groups:
        statuses[group.status] += group.images
        if group.reason is not None:
            reasons[group.reason] += group.images
        for name in SECONDS.names:
            seconds[name] += group[name] or 0.0
    garments = sum(group.found or 0 for group in groups)
    keys = sum((group["keys"] for group in groups), Decimal())
    labels = Counter({row["key"]: row["count"] for row in counted})
    recalled = sum(group.recalled for group in groups)
    return (
        Tally(sum(statuses.values()), garments, statuses, reasons, seconds, labels, recalled), keys
    )  # fmt: skip


def _label_counts(rows: DataFrame, vocabulary: Vocabulary) -> DataFrame:
    """How many garments (count) have each ``group.label`` (key); an exclusive group that says
    nothing counts as ``group.``."""
    garments = rows.select(F.explode("found").alias("g")).select("g.*")
    keys = [F.concat(F.lit("category."), "category")]
    for group in vocabulary.groups:
        column = F.col(group.name)
        if group.exclusive:
            keys.append(F.concat(F.lit(f"{group.name}."), F.coalesce(column, F.lit(""))))
    lists = [F.array(*keys)]
    for group in vocabulary.groups:
        if not group.exclusive:
            named = F.transform(F.col(group.name), partial(_prefixed, f"{group.name}."))
            lists.append(F.coalesce(named, F.array().cast("array<string>")))
    return garments.select(F.explode(F.concat(*lists)).alias("key")).groupBy("key").count()


def _prefixed(prefix: str, label: Column) -> Column:
    return F.concat(F.lit(prefix), label)

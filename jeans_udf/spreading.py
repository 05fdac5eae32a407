"""How images reach Spark's tasks: as the source's files hold them, so that no pixel is shuffled.

A task reads about ``batch.bytes_per_task`` of the source's files and looks at what it has read.
Images that are given as paths weigh nothing, and are dealt out by key. Only where the files would
leave cores idle, as a single large row group does, are pixels dealt out too.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jeans_udf.config import Batches

SMALL_TASK = 8
"""Images that are worth a task of their own."""

UNEVEN = 1.5
"""How many times a fair share the largest task may hold; moving pixels costs less than more."""

LARGE_TASK = 4
"""How many times ``batch.images_per_task`` a task may hold of images that lie together."""

TASKS_PER_CORE = 8
"""Into how many parts small sources are read, so that the last task is not long alone."""


def reading_settings(batches: Batches, parallelism: int) -> dict[str, str]:
    """Spark's settings for files that hold pictures: how much of them a task reads."""
    return {
        "spark.sql.files.maxPartitionBytes": batches.bytes_per_task,
        "spark.sql.files.openCostInBytes": "1m",
        "spark.sql.files.minPartitionNum": str(TASKS_PER_CORE * parallelism),
    }


def spread(images: DataFrame, count: int, batches: Batches) -> DataFrame:
    """``images`` (image or path, each may be null) in the partitions that tasks will work on."""
    parallelism = images.sparkSession.sparkContext.defaultParallelism
    tasks = task_count(count, batches.images_per_task, parallelism)
    # Where they lie, told by their keys alone: no pixel is read for it.
    lying = images.where("path IS NULL").groupBy(F.spark_partition_id()).count().collect()
    if not is_even([part["count"] for part in lying], batches.images_per_task, parallelism):
        return images.repartition(tasks, "image_id")
    by_path = F.col("path").isNotNull() & F.col("image").isNull()
    return images.where(~by_path).unionByName(images.where(by_path).repartition(tasks, "image_id"))


def is_even(held: Sequence[int], images_per_task: int, parallelism: int) -> bool:
    """Whether tasks that hold so many images each would end at about the same time."""
    if not held:
        return True
    fair = max(sum(held) / parallelism, SMALL_TASK)
    return max(held) <= min(UNEVEN * fair, LARGE_TASK * images_per_task)


def task_count(images: int, images_per_task: int, parallelism: int) -> int:
    """Tasks for ``images``: bounded in size, and no fewer than keep every core busy to the end."""
    return max(-(-images // images_per_task), min(2 * parallelism, -(-images // SMALL_TASK)), 1)

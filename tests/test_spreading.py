"""Images stay where the source's files hold them; what is dealt out instead, and when."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow.parquet import ParquetFile
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jeans_udf import tables
from jeans_udf.changes import decide_actions, images_to_tag, newest_changes, sum_up
from jeans_udf.config import Batches
from jeans_udf.ingest import WRITE_SETTINGS
from jeans_udf.schemas import IMAGE_STATUS
from jeans_udf.spreading import is_even, reading_settings, spread, task_count

IMAGES, IMAGE_BYTES = 80, 100_000


@pytest.mark.parametrize(
    ("held", "even"),
    [
        ([], True),
        ([8], True),  # too few to be worth a second task
        ([13], False),  # one core would idle
        ([100, 100], True),
        ([140, 60], True),
        ([160, 40], False),
        ([2000, 2000], False),  # tiny images: a task would be long before it counts
    ],
)
def test_what_is_even_on_two_cores(held: list[int], even: bool) -> None:
    assert is_even(held, images_per_task=256, parallelism=2) is even


@pytest.mark.parametrize(
    ("images", "tasks"), [(0, 1), (1, 1), (9, 2), (100, 4), (1024, 4), (1025, 5)]
)
def test_how_many_tasks_are_dealt_to(images: int, tasks: int) -> None:
    assert task_count(images, images_per_task=256, parallelism=2) == tasks


@pytest.fixture
def source(spark: SparkSession, tmp_path: Path) -> str:
    """Pictures of noise, in row groups of two megabytes as `ingest` writes them."""
    rows = [(f"{number:03}", "p", os.urandom(IMAGE_BYTES)) for number in range(IMAGES)]
    frame = spark.createDataFrame(rows, "image_id string, product_id string, image binary")
    with tables.settings(spark, WRITE_SETTINGS):
        frame.coalesce(1).write.parquet(f"{tmp_path}/source")
    return f"{tmp_path}/source"


@pytest.fixture(autouse=True)
def reading(spark: SparkSession) -> Iterator[None]:
    with tables.settings(spark, reading_settings(Batches(bytes_per_task="4m"), 2)):
        yield


def test_no_pixel_is_shuffled(spark: SparkSession, source: str) -> None:
    images = to_tag(spark, feed(spark, source))
    before = shuffled_bytes(spark)
    tasks, seen = tasks_of(spread(images, IMAGES, Batches()))
    assert seen == IMAGES
    # As many as there are row groups, of two megabytes each.
    assert tasks == row_groups(source) >= 4
    assert shuffled_bytes(spark) - before < IMAGE_BYTES


def test_a_single_row_group_is_dealt_out(
    spark: SparkSession, source: str, tmp_path: Path
) -> None:
    spark.read.parquet(source).coalesce(1).write.parquet(f"{tmp_path}/large")
    images = to_tag(spark, feed(spark, f"{tmp_path}/large"))
    before = shuffled_bytes(spark)
    tasks, seen = tasks_of(spread(images, IMAGES, Batches()))
    assert (seen, tasks) == (IMAGES, 4)
    assert shuffled_bytes(spark) - before > IMAGES * IMAGE_BYTES * 0.9


def test_paths_are_dealt_out_and_pixels_beside_them_stay(
    spark: SparkSession, source: str
) -> None:
    paths = spark.range(100).select(
        F.format_string("path %d", "id").alias("image_id"), F.lit("p").alias("product_id"),
        F.lit(None).cast("binary").alias("image"), F.format_string("/%d.jpg", "id").alias("path"),
    )  # fmt: skip
    both = feed(spark, source).unionByName(paths.transform(as_feed))
    images = to_tag(spark, both)
    before = shuffled_bytes(spark)
    tasks, seen = tasks_of(spread(images, IMAGES + 100, Batches(images_per_task=50)))
    assert (seen, tasks) == (IMAGES + 100, row_groups(source) + 4)
    assert shuffled_bytes(spark) - before < IMAGE_BYTES


def test_a_first_run_plans_without_reading_pixels(spark: SparkSession, source: str) -> None:
    changes = feed(spark, source)
    assert read_columns(newest_changes(changes)) == {"image_id", "product_id", "image"}
    assert read_columns(newest_changes(changes, with_pixels=False)) == {"image_id", "product_id"}


def as_feed(images: DataFrame) -> DataFrame:
    return images.withColumns(
        {"_change_type": F.lit("insert"), "_commit_version": F.lit(1).cast("long")}
    )


def feed(spark: SparkSession, folder: str) -> DataFrame:
    images = spark.read.parquet(folder)
    return images.withColumn("path", F.lit(None).cast("string")).transform(as_feed)


def to_tag(spark: SparkSession, changes: DataFrame) -> DataFrame:
    nothing = spark.createDataFrame([], IMAGE_STATUS)
    plan = decide_actions(newest_changes(changes, with_pixels=False), nothing, "m1").persist()
    return images_to_tag(changes, plan, sum_up(plan))


def tasks_of(images: DataFrame) -> tuple[int, int]:
    """Tasks that have images, and the images; the pixels pass through Python as in a run."""

    def count(frames):  # type: ignore[no-untyped-def]
        import pandas as pd

        total = sum(len(frame) for frame in frames if frame.image is not None)
        yield pd.DataFrame({"images": [total]})

    held = [row.images for row in images.mapInPandas(count, "images long").collect()]
    return sum(number > 0 for number in held), sum(held)


def row_groups(folder: str) -> int:
    (file,) = Path(folder).glob("*.parquet")
    return ParquetFile(file).num_row_groups


def read_columns(frame: DataFrame) -> set[str]:
    """The columns that the plan reads from files."""
    plan = frame._jdf.queryExecution().executedPlan().toString()
    schema = plan.split("ReadSchema: struct<")[1].split(">")[0]
    return {column.split(":")[0] for column in schema.split(",")}


def shuffled_bytes(spark: SparkSession) -> int:
    """What all stages so far have written for others to fetch."""
    jvm, store = spark._jvm, spark.sparkContext._jsc.sc().statusStore()
    nothing = jvm.java.util.ArrayList()
    quantiles = spark.sparkContext._gateway.new_array(jvm.double, 0)
    stages = store.stageList(nothing, False, False, quantiles, nothing)
    return sum(stages.apply(place).shuffleWriteBytes() for place in range(stages.size()))

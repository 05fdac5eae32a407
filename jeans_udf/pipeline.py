"""The tagging run: change feed of the source, bounded batches, three tables, one run row.

    source's change feed ► newest change of each image ► tag, relabel, delete or keep
        ► one pass over the pixels, staged ► crops, garments, image_status committed in turn

The first run is the whole catalog, each later one what changed since: the same code, since both
are a stream read up to the present.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from jeans_udf import changes, commit, folders, tables
from jeans_udf.batch import BatchTagger
from jeans_udf.checkpoints import clean_up, find_work
from jeans_udf.commit import Catalog
from jeans_udf.config import Batches
from jeans_udf.errors import JeansError, TableError
from jeans_udf.progress import Display
from jeans_udf.runs import Run
from jeans_udf.schemas import (
    GARMENT_CROPS,
    IMAGE_STATUS,
    TAGGING_RUNS,
    garments_schema,
)
from jeans_udf.staging import Tag
from jeans_udf.tables import Output, Table
from jeans_udf.vocabulary import Vocabulary

POLL_SECONDS = 0.2

STREAM_SETTINGS = {
    # Pictures: few rows are many bytes, so what is held at a time is bounded by bytes.
    "spark.sql.parquet.columnarReaderBatchSize": "512",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "256",
    "spark.sql.execution.arrow.maxBytesPerBatch": "16m",
    # The crops' row groups too, for whoever reads them.
    "parquet.block.size": "8388608",
    "parquet.page.size.row.check.min": "1",
    "parquet.page.size.row.check.max": "16",
}


def check_source(spark: SparkSession, source: Table) -> None:
    """`TableError` unless the source is what a run can read."""
    tables.require_table(spark, source)
    hint = "the source wants image_id, product_id and image (bytes) or path"
    tables.require_columns(spark, source, changes.SOURCE_COLUMNS, hint=hint)
    pixels = [f for f in tables.read_table(spark, source).schema if f.name in changes.PIXEL_COLUMNS]
    if not pixels:
        raise TableError(f"table {source}: columns image and path are missing; {hint}")
    for field in pixels:
        wanted = changes.PIXEL_COLUMNS[field.name]
        if field.dataType != wanted:
            raise TableError(
                f"table {source}: column {field.name} is {field.dataType.simpleString()}, wanted "
                f"{wanted.simpleString()}; {hint}"
            )
    tables.require_change_feed(spark, source)


def open_catalog(spark: SparkSession, output: Output, vocabulary: Vocabulary) -> Catalog:
    """Create the output's tables, or check that those that are there fit the vocabulary."""
    catalog = commit.catalog_of(output)
    ours = "the table is written by this job alone; give another --output"
    groups = "the bundle's vocabulary names other groups than the table; give another --output"
    _require_whole(spark, catalog)
    # image_status last, so that its presence says that all of them were made.
    for table, schema, comment, hint in (
        (catalog.tagging_runs, TAGGING_RUNS, "One row per run of the tagging job", ours),
        (catalog.garment_crops, GARMENT_CROPS, "One cut-out picture per garment", ours),
        (catalog.garments, garments_schema(vocabulary), "One row per garment", groups),
        (catalog.image_status, IMAGE_STATUS, "One row per source image, tagged or not", ours),
    ):
        tables.ensure_table(spark, table, schema, comment, hint=hint)
    return catalog


def tag_catalog(
    spark: SparkSession,
    source: Table,
    output: Output,
    run: Run,
    tag: Tag,
    vocabulary: Vocabulary,
    batches: Batches,
    display: Display | None = None,
) -> None:
    """Bring the output's tables up to the source's present; ``run`` counts what was done.

    ``tag`` is called once a batch that has images to tag, and not at all when nothing is new.
    """
    catalog = commit.catalog_of(output)
    work = find_work(spark, source, output, catalog, run.model_version)
    fresh = clean_up(spark, work)
    if fresh:
        images = tables.read_table(spark, source)
        changes.require_key(images, str(source))
        if display is not None:
            display.total = images.count()
    batch = BatchTagger(catalog, run, tag, vocabulary, batches, work, display, fresh)
    options = {
        "maxFilesPerTrigger": str(batches.max_files),
        "maxBytesPerTrigger": batches.max_bytes,
    }
    with tables.settings(spark, STREAM_SETTINGS):
        _run_stream(spark, source, options, f"{work.checkpoint}/stream", batch)
        if not folders.exists(spark, work.reconciled):
            run.deleted += reconcile(spark, source, catalog)
            folders.write_text(spark, work.reconciled, run.run_id)


def reconcile(spark: SparkSession, source: Table, catalog: Catalog) -> int:
    """Delete the rows of images that the source no longer has; how many images these were.

    A checkpoint that starts anew tells nothing of the images that left before.
    """
    images = tables.read_table(spark, source)
    for table in (catalog.garment_crops, catalog.garments):
        commit.delete_strays(spark, table, images)
    return commit.delete_strays(spark, catalog.image_status, images)


def _require_whole(spark: SparkSession, catalog: Catalog) -> None:
    """`TableError` if garments or crops went missing from beside the status that counts on them."""
    if not tables.table_exists(spark, catalog.image_status):
        return
    for table in (catalog.garments, catalog.garment_crops):
        if not tables.table_exists(spark, table):
            raise TableError(
                f"table {table}: is missing, while {catalog.image_status} says what it holds; "
                "restore it, or drop image_status as well to have every image tagged again"
            )


def _run_stream(
    spark: SparkSession,
    source: Table,
    options: Mapping[str, str],
    checkpoint: str,
    batch: BatchTagger,
) -> None:
    query = (
        tables.stream_changes(spark, source, options)
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
        if batch.error is not None:
            raise batch.error from None
        raise JeansError(
            f"table {source}: its changes cannot be read on from where the last run stopped: "
            f"{str(error).strip().splitlines()[0]}; if that part of its history is gone, remove "
            f"{checkpoint} and run again: what is tagged is not tagged again"
        ) from None
    finally:
        query.stop()

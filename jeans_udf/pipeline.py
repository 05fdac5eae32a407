"""The tagging run: change feed of the source, bounded batches, three tables, one run row.

    source's change feed ► newest change of each image ► tag, relabel, delete or keep
        ► one pass over the pixels, staged ► crops, garments, image_status committed in turn

The first run is the whole catalog, each later one what changed since: the same code, since both
are a stream read up to the present.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession

from jeans_udf import changes, commit, folders, staging, tables
from jeans_udf.changes import Planned
from jeans_udf.commit import Batch, Catalog
from jeans_udf.config import Batches
from jeans_udf.errors import JeansError, TableError
from jeans_udf.progress import Display
from jeans_udf.runs import Run
from jeans_udf.schemas import (
    GARMENT_CROPS,
    IMAGE_STATUS,
    TAGGING_RUNS,
    garments_schema,
    staged_schema,
)
from jeans_udf.staging import Staged, Tag
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


@dataclass(frozen=True)
class Work:
    """Folders of a run: its stream's checkpoint and its staged batches."""

    key: str
    root: str

    @property
    def checkpoint(self) -> str:
        return f"{self.root}/_checkpoints/{self.key}"

    @property
    def reconciled(self) -> str:
        """There once rows of images that left before the checkpoint began are gone."""
        return f"{self.checkpoint}/reconciled"

    @property
    def staging(self) -> str:
        return f"{self.root}/_staging"


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
    for table, schema, comment, hint in (
        (catalog.image_status, IMAGE_STATUS, "One row per source image, tagged or not", ours),
        (catalog.garments, garments_schema(vocabulary), "One row per garment", groups),
        (catalog.garment_crops, GARMENT_CROPS, "One cut-out picture per garment", ours),
        (catalog.tagging_runs, TAGGING_RUNS, "One row per run of the tagging job", ours),
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
    work = _work(spark, source, output, run.model_version)
    fresh = _clean_up(spark, work)
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


class BatchTagger:
    """What the stream does with each batch of changes."""

    def __init__(
        self,
        catalog: Catalog,
        run: Run,
        tag: Tag,
        vocabulary: Vocabulary,
        batches: Batches,
        work: Work,
        display: Display | None,
        fresh: bool,
    ) -> None:
        self.catalog, self.run, self.tag, self.vocabulary = catalog, run, tag, vocabulary
        self.batches, self.work, self.display, self.fresh = batches, work, display, fresh
        self.error: BaseException | None = None

    def __call__(self, changed: DataFrame, number: int) -> None:
        try:
            self._process(changed, number)
        except BaseException as error:
            # The stream would only pass on its text.
            self.error = error
            raise

    def _process(self, changed: DataFrame, number: int) -> None:
        spark = changed.sparkSession
        spark.sparkContext.setJobDescription(f"batch {number}: what changed")
        status = tables.read_table(spark, self.catalog.image_status)
        newest = changes.newest_changes(changed)
        plan = changes.decide_actions(newest, status, self.run.model_version).persist()
        try:
            planned = changes.sum_up(plan)
            self.run.read(planned.version_from, planned.version_to)
            self._expect(planned)
            folder = f"{self.work.staging}/{self.work.key}/{number}"
            if planned.count("tag", "relabel", "delete"):
                self._tag_and_commit(changed, plan, planned, number, folder)
            # Also when nothing is left to do: a run may have died between its last commit and here.
            folders.delete(spark, folder)
        finally:
            plan.unpersist()

    def _tag_and_commit(
        self, changed: DataFrame, plan: DataFrame, planned: Planned, number: int, folder: str
    ) -> None:
        spark = changed.sparkSession
        begin = time.monotonic()
        staged = self._stage(changed, plan, planned, number, folder)
        seconds = time.monotonic() - begin
        batch = Batch(
            plan=plan,
            planned=planned,
            staged=staged.rows if staged else None,
            garments=staged.tally.garments if staged else 0,
            vocabulary=self.vocabulary,
            model_version=self.run.model_version,
            run_id=self.run.run_id,
            app=str(spark.sparkContext.getLocalProperty("sql.streaming.queryId")),
            number=number,
        )
        spark.sparkContext.setJobDescription(f"batch {number}: commit")
        commit.commit_crops(spark, self.catalog.garment_crops, batch)
        commit.commit_garments(spark, self.catalog.garments, batch)
        commit.commit_status(spark, self.catalog.image_status, batch)
        self.run.deleted += planned.count("delete")
        if staged is not None:
            self.run.add(staged.tally, seconds)

    def _stage(
        self, changed: DataFrame, plan: DataFrame, planned: Planned, number: int, folder: str
    ) -> Staged | None:
        count = planned.count("tag")
        if not count:
            return None
        context = changed.sparkSession.sparkContext
        context.setJobDescription(f"batch {number}: tag {count} images")
        tasks = staging.task_count(count, self.batches.images_per_task, context.defaultParallelism)
        return staging.stage(
            changes.images_to_tag(changed, plan, planned),
            planned,
            self.tag,
            folder,
            staged_schema(self.vocabulary),
            tasks,
        )

    def _expect(self, planned: Planned) -> None:
        if self.display is None:
            return
        if self.fresh:
            # The total is the source's rows: less what need not be tagged again.
            skipped = sum(planned.counts.values()) - planned.count("tag")
            self.display.total = (self.display.total or 0) - skipped
        else:
            self.display.total = (self.display.total or 0) + planned.count("tag")


def _work(spark: SparkSession, source: Table, output: Output, model_version: str) -> Work:
    identity = "\0".join((str(source), tables.table_id(spark, source), model_version))
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return Work(key, tables.work_folder(spark, output))


def _clean_up(spark: SparkSession, work: Work) -> bool:
    """Remove what other checkpoints and crashed runs left; whether ours starts anew.

    Only one checkpoint is kept: coming back to an earlier bundle has to look at every image
    again, since the tables hold the later one's rows.
    """
    root = f"{work.root}/_checkpoints"
    staging.forget_others(spark, root, keep=work.key)
    fresh = not folders.child_names(spark, f"{work.checkpoint}/stream/offsets")
    if fresh:
        # Staged batches are numbered by the checkpoint that is gone.
        folders.delete(spark, work.checkpoint)
    staging.forget_others(spark, work.staging, keep=None if fresh else work.key)
    return fresh


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

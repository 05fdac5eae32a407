"""The tagging run: change feed of the source, bounded batches, three tables, one run row.

    source's change feed ► newest change of each image ► tag, relabel, delete or keep
        ► one pass over the pixels, staged ► crops, garments, image_status committed in turn

The first run is the whole catalog, each later one what changed since: the same code, since both
are a stream read up to the present.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from jeans_udf import changes, commit, compare, folders, repair, tables
from jeans_udf.batch import BatchTagger
from jeans_udf.checkpoints import Work, begin_full_pass, clean_up, find_work, forget_stream
from jeans_udf.commit import Catalog
from jeans_udf.config import TaggingConfig
from jeans_udf.conflicts import retry_conflicts
from jeans_udf.errors import JeansError, TableError
from jeans_udf.progress import Display
from jeans_udf.runs import Run
from jeans_udf.schemas import (
    ATTRIBUTE_OVERRIDES,
    GARMENT_CROPS,
    IMAGE_DETECTIONS,
    IMAGE_STATUS,
    TAGGING_RUNS,
    garments_schema,
)
from jeans_udf.sources import Source
from jeans_udf.spreading import reading_settings
from jeans_udf.staging import Tag
from jeans_udf.stream import FeedGone, run_stream
from jeans_udf.table_names import Output
from jeans_udf.vocabulary import Vocabulary

STREAM_SETTINGS = {
    # Pictures: few rows are many bytes, so what is held at a time is bounded by bytes.
    **tables.PICTURES,
    "spark.sql.execution.arrow.maxRecordsPerBatch": "256",
    "spark.sql.execution.arrow.maxBytesPerBatch": "16m",
    # The crops' row groups too, for whoever reads them.
    "parquet.block.size": "8388608",
    "parquet.page.size.row.check.min": "1",
    "parquet.page.size.row.check.max": "16",
}


def open_catalog(spark: SparkSession, output: Output, vocabulary: Vocabulary) -> Catalog:
    """Create the output's tables, or check that those that are there fit the vocabulary."""
    catalog = commit.catalog_of(output)
    ours = "the table is written by this job alone; give another --output"
    people = "people write rows into it, but its columns are this job's"
    groups = "the bundle's vocabulary names other groups than the table; give another --output"
    _require_whole(spark, catalog)
    wanted = (
        (output.table("attribute_overrides"), ATTRIBUTE_OVERRIDES, "What people corrected", people),
        (catalog.tagging_runs, TAGGING_RUNS, "One row per run of the tagging job", ours),
        (catalog.image_detections, IMAGE_DETECTIONS, "What the detector found, by image", ours),
        (catalog.garment_crops, GARMENT_CROPS, "One cut-out picture per garment", ours),
        (catalog.garments, garments_schema(vocabulary), "One row per garment", groups),
        (catalog.image_status, IMAGE_STATUS, "One row per source image, tagged or not", ours),
    )
    *others, status = (
        partial(tables.ensure_table, spark, table, schema, comment, hint=hint)
        for table, schema, comment, hint in wanted
    )
    tables.at_once(spark, others)
    # Last, so that its presence says that all of them were made.
    status()
    return catalog


@dataclass(frozen=True)
class Refresh:
    """What a run is asked for beyond what changed."""

    full: bool = False
    """Every image is tagged again, in batches; an interrupted pass goes on."""
    retry_rejected: bool = False
    """Images that stand as rejected are tried again."""

    @property
    def kind(self) -> str:
        """What tagging_runs calls the run."""
        if self.full:
            return "full"
        return "retry_rejected" if self.retry_rejected else "refresh"


PLAIN = Refresh()
"""What changed, and no more."""


def tag_catalog(
    spark: SparkSession,
    source: Source,
    output: Output,
    run: Run,
    tag: Tag,
    vocabulary: Vocabulary,
    config: TaggingConfig,
    display: Display | None = None,
    refresh: Refresh = PLAIN,
) -> None:
    """Bring the output's tables up to the source's present; ``run`` counts what was done.

    ``tag`` is called once a batch that has images to tag, and not at all when nothing is new.
    """
    catalog = commit.catalog_of(output)
    work = find_work(spark, source, output, catalog, run.model_version)
    again = begin_full_pass(spark, work, run.run_id, refresh.full)
    fresh = clean_up(spark, work)
    batch = BatchTagger(catalog, run, tag, vocabulary, config.batch, work, display, again)
    flow = Flow(spark, source, catalog, work, batch, config)
    reading = reading_settings(config.batch, spark.sparkContext.defaultParallelism)
    with tables.settings(spark, STREAM_SETTINGS | reading):
        if source.has_feed:
            flow.follow_feed(fresh)
        else:
            flow.compare_all()
        if refresh.retry_rejected:
            flow.retry_rejected()
    if again.full_runs is not None:
        folders.delete(spark, work.full)


@dataclass
class Flow:
    """The ways in which a source's rows reach the batches of a run."""

    spark: SparkSession
    source: Source
    catalog: Catalog
    work: Work
    batch: BatchTagger
    config: TaggingConfig

    def follow_feed(self, fresh: bool) -> None:
        """What changed since the last run, as a stream that ends with the present."""
        try:
            self._stream(fresh)
        except FeedGone as gone:
            if fresh:
                raise JeansError(f"table {self.source}: cannot be read: {gone}") from None
            print(
                f"table {self.source}: its changes cannot be read on from where the last run "
                f"stopped ({gone}); comparing every row with what is tagged instead",
                file=sys.stderr,
            )
            forget_stream(self.spark, self.work)
            self._stream(fresh=True)
        if not folders.exists(self.spark, self.work.reconciled):
            self._reconcile()
            folders.write_text(self.spark, self.work.reconciled, self.batch.run.run_id)

    def compare_all(self) -> None:
        """Every row of a source that does not tell what changed, unless it is as it was."""
        fingerprint = self.source.fingerprint(self.spark)
        if fingerprint is not None:
            if folders.read_text(self.spark, self.work.compared) == fingerprint:
                return
        self._forget_torn()
        version = self.source.version(self.spark)
        self._compare(self.source.read(self.spark, version), "compare")
        self._reconcile(version)
        if fingerprint is not None:
            folders.write_text(self.spark, self.work.compared, fingerprint)

    def retry_rejected(self) -> None:
        """Rejected images once more; the others need not even be read."""
        images = self.source.read(self.spark, self.source.version(self.spark))
        status = tables.read_table(self.spark, self.catalog.image_status)
        self.batch.again = replace(self.batch.again, rejected=True)
        self._compare(compare.rejected_images(images, status), "retry")

    def _stream(self, fresh: bool) -> None:
        batch, batches = self.batch, self.config.batch
        if fresh:
            self._forget_torn()
            images = self.source.read(self.spark)
            changes.require_key(images, str(self.source))
            batch.counts_down = True
            if batch.display is not None:
                batch.display.total = images.count()
        options = {
            "maxFilesPerTrigger": str(batches.max_files),
            "maxBytesPerTrigger": batches.max_bytes,
        }
        run_stream(self.spark, self.source, options, f"{self.work.checkpoint}/stream", batch)

    def _compare(self, images: DataFrame, name: str) -> None:
        self.spark.sparkContext.setJobDescription(
            f"run {self.batch.run.run_id}, {name}: what changed"
        )
        folder = f"{self.work.staging}/{self.work.key}/{name}"
        status = tables.read_table(self.spark, self.catalog.image_status)
        changed = compare.as_changes(images, self.config.images)
        run, again = self.batch.run, self.batch.again
        self.batch.counts_down = False
        for part in compare.plan_ranges(
            changed, status, run.model_version, again, folder, self.config.batch.max_bytes
        ):
            rows = compare.changes_of(changed, folder, part)
            # The run's own mark: another run cuts the batches in its own way.
            self.batch.process(rows, part.number, f"{run.run_id}/{name}", f"{folder}/staged")
        folders.delete(self.spark, folder)

    def _forget_torn(self) -> None:
        if self.batch.run.began_empty:
            return
        # Found by what they hold: the batch that a crashed run was at may never come again.
        retry_conflicts(partial(repair.forget_torn, self.spark, self.catalog))

    def _reconcile(self, version: int | None = None) -> None:
        if self.batch.run.began_empty:
            return
        images = self.source.read(self.spark, version)
        self.batch.run.deleted += reconcile(self.spark, images, self.catalog)


def reconcile(spark: SparkSession, images: DataFrame, catalog: Catalog) -> int:
    """Delete the rows of images that the source no longer has; how many images these were.

    What starts anew tells nothing of the images that left before.
    """
    for table in (catalog.image_detections, catalog.garment_crops, catalog.garments):
        retry_conflicts(partial(repair.delete_strays, spark, table, images))
    return retry_conflicts(
        partial(repair.delete_strays, spark, catalog.image_status, images)
    )


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



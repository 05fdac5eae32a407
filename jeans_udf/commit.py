"""Commits of a staged batch: image_detections, garment_crops, then garments, then image_status.

Each is one atomic commit of its table and carries the batch's mark, so that doing it again after
a crash changes nothing. A batch is done when its image_status is there: hence that comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf import tables
from jeans_udf.changes import BROADCAST_IMAGES, Planned
from jeans_udf.conflicts import retry_conflicts
from jeans_udf.schemas import GARMENT_CROPS, IMAGE_DETECTIONS, IMAGE_STATUS, garments_schema
from jeans_udf.table_names import Output, Table
from jeans_udf.tables import Txn
from jeans_udf.vocabulary import Vocabulary

ACTION = "_action"


@dataclass(frozen=True)
class Catalog:
    """The tables that a run writes."""

    image_status: Table
    garments: Table
    garment_crops: Table
    tagging_runs: Table
    image_detections: Table


def catalog_of(output: Output) -> Catalog:
    """References to the tables of an output."""
    names = ("image_status", "garments", "garment_crops", "tagging_runs", "image_detections")
    return Catalog(*(output.table(name) for name in names))


def versions_of(spark: SparkSession, catalog: Catalog) -> dict[str, int]:
    """Delta versions of the tables that a run changes, by name."""
    named = {
        "image_status": catalog.image_status, "garments": catalog.garments,
        "garment_crops": catalog.garment_crops, "image_detections": catalog.image_detections,
    }  # fmt: skip
    looks = [partial(tables.table_version, spark, table) for table in named.values()]
    return dict(zip(named, tables.at_once(spark, looks), strict=True))


@dataclass(frozen=True)
class Batch:
    """What to commit: the plan (one row an image), and the staged rows if any image was tagged."""

    plan: DataFrame
    planned: Planned
    staged: DataFrame | None
    garments: int
    files: int
    """Files that an append to one table makes of them."""
    vocabulary: Vocabulary
    model_version: str
    detector: str
    run_id: str
    app: str
    number: int
    began_empty: bool = False
    """Whether nothing was in the output when the run began."""

    def images(self, *actions: str) -> DataFrame:
        """image_id and product_id of the images with one of the actions."""
        return self.plan.where(F.col("action").isin(*actions)).select("image_id", "product_id")

    def is_new(self, present: DataFrame) -> bool:
        """Whether a table holds nothing of the images, given its ``present`` rows of them.

        Looked up only where image_status cannot tell: rows without a status are left by a crash.
        """
        if self.planned.known:
            return False
        return self.began_empty or present.isEmpty()

    @property
    def txn(self) -> Txn:
        """The mark of the batch's commits, one in each table."""
        return Txn(self.app, self.number)

    def near(self) -> Column:
        """Only files that can hold the batch's images need to be looked at."""
        planned = self.planned
        return F.col("t.image_id").between(F.lit(planned.first_id), F.lit(planned.last_id))


def commit(spark: SparkSession, catalog: Catalog, batch: Batch) -> None:
    """Commit the batch: image_status last, since from then on it is done."""

    def write(to: Callable[[SparkSession, Table, Batch], None], table: Table) -> None:
        retry_conflicts(partial(to, spark, table, batch))

    def write_garments() -> None:
        write(commit_crops, catalog.garment_crops)
        write(commit_garments, catalog.garments)

    # Nobody reads detections but a later run: they need no place in the order.
    keep = partial(write, commit_detections, catalog.image_detections)
    with tables.marked(spark, batch.txn):
        tables.at_once(spark, [keep, write_garments])
        write(commit_status, catalog.image_status)


def commit_detections(spark: SparkSession, table: Table, batch: Batch) -> None:
    """Keep what the detector found, for bundles with another classifier; known ones stay."""
    if not batch.planned.count("tag", "delete"):
        return
    fresh, gone = None, batch.images("delete").select("image_id")
    if batch.staged is not None:
        fresh = staged_detections(batch)
        rejected = batch.staged.where("status = 'rejected'").select("image_id")
        gone = gone.unionByName(rejected)
    present = _present(spark, table, batch, [], "tag", "delete")
    if batch.is_new(present):
        if fresh is not None:
            tables.append(fresh.coalesce(batch.files), table)
        return
    rows = _acting(gone, "delete")
    if fresh is not None:
        rows = _acting(fresh, "tag").unionByName(rows, allowMissingColumns=True)
    _merge(table, rows, "image_id", IMAGE_DETECTIONS, batch)


def commit_crops(spark: SparkSession, table: Table, batch: Batch) -> None:
    """Replace the crops of tagged and deleted images; a crop that is there already stays."""
    if not batch.planned.count("tag", "delete"):
        return
    keys = ("garment_id", "width", "height")
    present = _present(spark, table, batch, keys, "tag", "delete")
    crops = staged_crops(batch) if batch.garments else None
    if batch.is_new(present):
        if crops is not None:
            tables.append(crops.coalesce(batch.files), table)
        return
    gone = present.select("garment_id").withColumn(ACTION, F.lit("delete"))
    if crops is None:
        rows = gone
    else:
        gone = gone.join(crops.select("garment_id"), "garment_id", "left_anti")
        # The same id in the same size is the same cut of the same bytes: no picture is rewritten.
        fresh = crops.join(present.select(*keys), list(keys), "left_anti")
        rows = _acting(fresh, "tag").unionByName(gone, allowMissingColumns=True)
    _merge(table, rows, "garment_id", GARMENT_CROPS, batch)


def commit_garments(spark: SparkSession, table: Table, batch: Batch) -> None:
    """Replace the garments of tagged and deleted images, and correct those of relabelled ones."""
    present = _present(spark, table, batch, ["garment_id"], "tag", "delete", "relabel")
    garments = staged_garments(batch) if batch.garments else None
    if batch.is_new(present):
        if garments is not None:
            tables.append(garments.coalesce(batch.files), table)
        return
    relabelled = batch.images("relabel")
    rows = present.join(relabelled, "image_id").select(
        "garment_id", "product_id", F.lit(batch.run_id).alias("run_id"),
        F.lit("relabel").alias(ACTION),
    )
    gone = present.join(relabelled, "image_id", "left_anti").select("garment_id")
    if garments is not None:
        gone = gone.join(garments.select("garment_id"), "garment_id", "left_anti")
        rows = rows.unionByName(_acting(garments, "tag"), allowMissingColumns=True)
    rows = rows.unionByName(_acting(gone, "delete"), allowMissingColumns=True)
    schema = garments_schema(batch.vocabulary)
    _merge(table, rows, "garment_id", schema, batch)


def commit_status(spark: SparkSession, table: Table, batch: Batch) -> None:
    """Write the images' rows: from here on the batch is done."""
    present = _present(spark, table, batch, [], "tag", "delete", "relabel")
    status = None if batch.staged is None else staged_status(batch)
    if batch.is_new(present):
        if status is not None:
            tables.append(status.coalesce(batch.files), table)
        return
    relabelled = batch.images("relabel").withColumn("run_id", F.lit(batch.run_id))
    rows = _acting(relabelled, "relabel").unionByName(
        _acting(batch.images("delete"), "delete"), allowMissingColumns=True
    )
    if status is not None:
        rows = rows.unionByName(_acting(status, "tag"), allowMissingColumns=True)
    _merge(table, rows, "image_id", IMAGE_STATUS, batch)


def staged_status(batch: Batch) -> DataFrame:
    """Rows of image_status."""
    assert batch.staged is not None
    return _stamped(batch.staged, batch).select(*IMAGE_STATUS.names)


def staged_garments(batch: Batch) -> DataFrame:
    """Rows of garments."""
    return _stamped(_found(batch), batch).select(*garments_schema(batch.vocabulary).names)


def staged_detections(batch: Batch) -> DataFrame:
    """Rows of image_detections: of images that the detector has looked at in this batch."""
    assert batch.staged is not None
    looked = batch.staged.where("detections IS NOT NULL")
    looked = looked.withColumn("detector", F.lit(batch.detector))
    return _stamped(looked, batch).select(*IMAGE_DETECTIONS.names)


def staged_crops(batch: Batch) -> DataFrame:
    """Rows of garment_crops."""
    found = _found(batch).withColumnsRenamed({"crop_width": "width", "crop_height": "height"})
    return _stamped(found, batch).select(*GARMENT_CROPS.names)


def _found(batch: Batch) -> DataFrame:
    assert batch.staged is not None
    columns = ("image_id", "product_id", "image_sha256", "tagged_at")
    return batch.staged.select(*columns, F.inline("found"))


def _stamped(frame: DataFrame, batch: Batch) -> DataFrame:
    return frame.withColumns(
        {"model_version": F.lit(batch.model_version), "run_id": F.lit(batch.run_id)}
    )


def _acting(frame: DataFrame, action: str) -> DataFrame:
    return frame.withColumn(ACTION, F.lit(action))


def _present(
    spark: SparkSession, table: Table, batch: Batch, columns: Sequence[str], *actions: str
) -> DataFrame:
    """``image_id`` and ``columns`` of the table's rows of images with one of the actions."""
    acting = batch.images(*actions).select("image_id")
    if batch.planned.count(*actions) <= BROADCAST_IMAGES:
        acting = F.broadcast(acting)
    rows = tables.read_table(spark, table).alias("t").where(batch.near())
    return rows.select("image_id", *columns).join(acting, "image_id", "left_semi")


def _merge(
    table: Table, rows: DataFrame, key: str, schema: T.StructType, batch: Batch
) -> None:
    # A batch that only deletes or relabels has none of the columns that its MERGE could set.
    absent = [field for field in schema if field.name not in rows.columns]
    rows = rows.withColumns({f.name: F.lit(None).cast(f.dataType) for f in absent})
    values = {column: f"s.{column}" for column in schema.names}
    merge = (
        tables.merge_into(table, rows, F.expr(f"t.{key} = s.{key}") & batch.near())
        .whenMatchedDelete(f"s.{ACTION} = 'delete'")
        .whenMatchedUpdate(f"s.{ACTION} = 'tag'", set=values)
        .whenNotMatchedInsert(f"s.{ACTION} = 'tag'", values=values)
    )
    if "product_id" in schema.names:
        relabelled = {"product_id": "s.product_id", "run_id": "s.run_id"}
        merge = merge.whenMatchedUpdate(f"s.{ACTION} = 'relabel'", set=relabelled)
    merge.execute()

"""Rows that no batch will come by again: of images that left, or torn by a crash."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jeans_udf import tables
from jeans_udf.commit import Catalog
from jeans_udf.table_names import Table


def delete_strays(spark: SparkSession, table: Table, source: DataFrame) -> int:
    """Delete the rows of images that are not in ``source``; how many images these were."""
    present = tables.read_table(spark, table).select("image_id").distinct()
    strays = present.join(source.select("image_id"), "image_id", "left_anti").persist()
    try:
        count = strays.count()
        if count:
            merge = tables.merge_into(table, strays, "t.image_id = s.image_id")
            merge.whenMatchedDelete().execute()
    finally:
        strays.unpersist()
    return count


def forget_torn(spark: SparkSession, catalog: Catalog) -> int:
    """Take the status of images whose garments or crops are not those that it counts.

    A crash between the commits leaves some, and a checkpoint knows how to finish them; where it
    is lost, an image without a status is tagged again. How many there were.
    """
    status = tables.read_table(spark, catalog.image_status)
    known = ("image_id", "image_sha256", "model_version")
    torn = None
    for table in (catalog.garments, catalog.garment_crops):
        rows = tables.read_table(spark, table).groupBy(*known).agg(F.count("*").alias("rows"))
        held = rows.groupBy("image_id").agg(
            F.count("*").alias("states"), F.sum("rows").alias("rows"),
            F.first("image_sha256").alias("held_sha256"),
            F.first("model_version").alias("held_version"),
        )  # fmt: skip
        beside = status.join(held, "image_id", "left")
        agree = F.when(F.col("rows").isNull(), F.col("garments") == 0).otherwise(
            (F.col("states") == 1) & (F.col("rows") == F.col("garments"))
            & F.col("held_sha256").eqNullSafe(F.col("image_sha256"))
            & F.col("held_version").eqNullSafe(F.col("model_version"))
        )  # fmt: skip
        apart = beside.where(~F.coalesce(agree, F.lit(False))).select("image_id")
        torn = apart if torn is None else torn.union(apart)
    assert torn is not None
    torn = torn.distinct().persist()
    try:
        count = torn.count()
        if count:
            merge = tables.merge_into(catalog.image_status, torn, F.expr("t.image_id = s.image_id"))
            merge.whenMatchedDelete().execute()
    finally:
        torn.unpersist()
    return count

"""Back to before a run: the tables by Delta's time travel, and the memory of what was read."""

from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jeans_udf import commit, folders, tables
from jeans_udf.errors import TableError
from jeans_udf.run_log import recorded
from jeans_udf.runs import Run
from jeans_udf.table_names import Output


def rollback(
    spark: SparkSession, output: Output, run_id: str, run: Run, wait_seconds: float = 0.0
) -> dict[str, int]:
    """Restore image_status, garments and garment_crops to what they were before ``run_id``.

    Later runs' rows go as well. The next run compares the whole source with the tables: what was
    rolled back is tagged again by whatever bundle it has. Returns the versions restored. Raises
    `TableError` for an unknown run, or versions that VACUUM has removed.
    """
    catalog = commit.catalog_of(output)
    tables.require_table(spark, catalog.tagging_runs)
    versions = _versions_before(spark, output, run_id)
    run.kind, run.restored_run = "rollback", run_id
    work = tables.work_folder(spark, output)
    with recorded(spark, catalog.tagging_runs, work, run, wait_seconds=wait_seconds):
        run.tables_before = commit.versions_of(spark, catalog)
        # First, so that a rollback that dies on the way is never followed by a refresh that
        # believes to have tagged what is gone; image_status last, as in every commit.
        folders.delete(spark, f"{work}/_checkpoints")
        folders.delete(spark, f"{work}/_staging")
        for name in ("image_detections", "garment_crops", "garments", "image_status"):
            if name in versions:
                tables.restore(spark, output.table(name), versions[name])
    return versions


def _versions_before(spark: SparkSession, output: Output, run_id: str) -> dict[str, int]:
    runs = tables.read_table(spark, output.table("tagging_runs"))
    row = runs.where(F.col("run_id") == run_id).first()
    if row is None:
        latest = runs.orderBy(F.col("started_at").desc()).limit(3).collect()
        names = ", ".join(each.run_id for each in latest) or "none"
        raise TableError(f"--rollback {run_id}: no such run; the latest: {names} (see --status)")
    if not row.tables_before:
        raise TableError(
            f"--rollback {run_id}: this run changed no table, or is older than rollbacks"
        )
    return dict(row.tables_before)

"""tagging_runs: a run takes its turn, has a row from its start on, and ends it whatever happens."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jeans_udf import tables
from jeans_udf.conflicts import WriteConflict, retry_conflicts
from jeans_udf.drift import drift_by_group, stability_index
from jeans_udf.errors import EXIT_FAILED, EXIT_OVER_LIMIT, BusyError
from jeans_udf.lease import Heartbeat, holder, wait_step
from jeans_udf.runs import Run
from jeans_udf.schemas import TAGGING_RUNS
from jeans_udf.table_names import Table
from jeans_udf.tables import Txn
from jeans_udf.vocabulary import Vocabulary

LIBRARIES = (
    "jeans-udf pyspark delta-spark torch torchvision detectron2 pb1-detectron2 fastai timm "
    "openvino onnxruntime"
).split()
TURN = "tag_catalog/turn"
"""Transaction mark of a run's first row: its version is the run's number."""

DIED = "died without a word: killed, or its machine went away"


@contextmanager
def recorded(
    spark: SparkSession, table: Table, work: str, run: Run, *, wait_seconds: float = 0.0
) -> Iterator[Run]:
    """Whatever becomes of the block, its run has its one row, and it is the only one at work.

    Raises `BusyError` when another run is at work after ``wait_seconds``.
    """
    run.run_id = free_run_id(spark, table, run.run_id)
    try:
        with _its_turn(spark, table, work, run, wait_seconds):
            yield run
    finally:
        # The output is free by now: a listener that is slow holds nobody up.
        if run.exit_code is not None:
            run.tell_end()


@contextmanager
def _its_turn(
    spark: SparkSession, table: Table, work: str, run: Run, wait_seconds: float
) -> Iterator[None]:
    with Heartbeat(spark, work, run.run_id) as beat:
        take_turn(spark, table, work, run, str(beat.driver), wait_seconds)
        try:
            yield
        except BaseException as error:
            run.finish(error)
            try:
                end_row(spark, table, run)
            except Exception as second:  # Spark itself may be gone: show the first error
                print(f"run {run.run_id}: its row in {table} stays open: {second}", file=sys.stderr)
            raise
        run.finish()
        try:
            end_row(spark, table, run)
        except BaseException as error:
            run.finish(error)
            raise


def free_run_id(spark: SparkSession, table: Table, wanted: str) -> str:
    """``wanted``, or with a number behind it: a scheduler gives a second try the same id."""
    ids = {
        row.run_id
        for row in tables.read_table(spark, table).select("run_id").collect()
        if row.run_id == wanted or row.run_id.startswith(wanted + ".")
    }
    number, name = 1, wanted
    while name in ids:
        number += 1
        name = f"{wanted}.{number}"
    return name


def take_turn(
    spark: SparkSession, table: Table, work: str, run: Run, driver: str, wait_seconds: float
) -> None:
    """Write the run's first row, once no other run is at work; close the rows of dead ones."""
    deadline = time.monotonic() + wait_seconds
    while True:
        rows = tables.read_table(spark, table).select("run_id", "run_no", "started_at", "ended_at")
        begun = rows.collect()
        last = max((row.run_no or 0 for row in begun), default=0)
        open_rows = [row for row in begun if row.ended_at is None]
        busy = [(row, who) for row in open_rows if (who := holder(spark, work, row.run_id))]
        if busy:
            if wait_step(deadline):
                continue
            row, who = busy[0]
            raise BusyError(
                f"run {row.run_id} is at work on this output since {row.started_at:%H:%M:%S} UTC "
                f"({who}), and nothing was done; it sees all that is in the source now, or wait "
                "for it with --wait SECONDS"
            )
        run.run_no = last + 1
        run.started_at = datetime.now(UTC)
        first = _frame(spark, run, driver)
        try:
            tables.append(first, table, Txn(TURN, run.run_no))
        except WriteConflict:
            continue
        # Of two that took the same number at the same time, Delta kept one row.
        taken = tables.read_table(spark, table).where(F.col("run_no") == run.run_no).collect()
        if [row.run_id for row in taken] == [run.run_id]:
            _close_dead(spark, table, [row.run_id for row in open_rows])
            return


def end_row(spark: SparkSession, table: Table, run: Run) -> None:
    """Complete the run's row."""
    frame = _frame(spark, run, None).drop("driver")
    columns = {name: f"s.{name}" for name in frame.columns if name != "run_id"}

    def write() -> None:
        merge = tables.merge_into(table, frame, F.expr("t.run_id = s.run_id"))
        merge.whenMatchedUpdate(set=columns).execute()

    retry_conflicts(write)


def measure_drift(spark: SparkSession, table: Table, run: Run, vocabulary: Vocabulary) -> None:
    """Set ``run.drift``: the indices against the last run of enough images, if there is one."""
    least = run.config.drift.min_garments
    drift: dict[str, float] = {}
    if run.images >= least:
        before = last_run_with(standing_runs(tables.read_table(spark, table)), "images", least)
        if before is not None:
            drift["status"] = stability_index(run.statuses, before["status_counts"] or {})
    if run.garments >= least:
        before = last_run_with(standing_runs(tables.read_table(spark, table)), "garments", least)
        if before is not None and before["label_counts"]:
            drift |= drift_by_group(run.label_counts, before["label_counts"], vocabulary)
    run.drift = drift


def standing_runs(runs: DataFrame) -> DataFrame:
    """Finished runs whose rows no rollback took away."""
    undone = runs.where("kind = 'rollback' AND exit_code = 0").select("restored_run", "run_no")
    spans = (
        undone.alias("u")
        .join(runs.alias("r"), F.col("u.restored_run") == F.col("r.run_id"))
        .select(F.col("r.run_no").alias("low"), F.col("u.run_no").alias("high"))
    )
    inside = F.col("run_no").between(F.col("low"), F.col("high"))
    done = runs.where(F.col("exit_code").isin(0, EXIT_OVER_LIMIT) & (F.col("kind") != "rollback"))
    return done.join(spans, inside, "left_anti")


def last_run_with(runs: DataFrame, column: str, least: int) -> Mapping[str, object] | None:
    """The latest of ``runs`` with at least so many images or garments."""
    row = runs.where(F.col(column) >= least).orderBy(F.col("run_no").desc()).first()
    return None if row is None else row.asDict()


def library_versions() -> dict[str, str]:
    """Versions of what decides the results; a library that is not installed is left out."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _close_dead(spark: SparkSession, table: Table, run_ids: list[str]) -> None:
    if not run_ids:
        return
    dead = spark.createDataFrame([(run_id,) for run_id in run_ids], "run_id string")
    values = {"ended_at": F.current_timestamp(), "exit_code": F.lit(EXIT_FAILED),
              "error": F.lit(DIED)}  # fmt: skip

    def write() -> None:
        merge = tables.merge_into(table, dead, F.expr("t.run_id = s.run_id"))
        merge.whenMatchedUpdate("t.ended_at IS NULL", set=values).execute()

    retry_conflicts(write)


def _frame(spark: SparkSession, run: Run, driver: str | None) -> DataFrame:
    values = {
        "run_id": run.run_id,
        "run_no": run.run_no,
        "kind": run.kind,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "source": run.source,
        "source_version_from": run.source_version_from,
        "source_version_to": run.source_version_to,
        "images": run.images,
        "recalled": run.recalled,
        "deleted": run.deleted,
        "garments": run.garments,
        "status_counts": dict(run.statuses),
        "reason_counts": dict(run.reasons),
        "label_counts": dict(run.label_counts),
        "drift": dict(run.drift),
        "images_per_second": run.images_per_second,
        "stage_seconds": dict(run.stage_seconds),
        "wall_seconds": run.wall_seconds,
        "model_version": run.model_version,
        "bundle_sha256": run.bundle_sha256,
        "config_sha256": run.config.digest(),
        "config": run.config.model_dump_json(),
        "versions": library_versions(),
        "tables_before": dict(run.tables_before),
        "restored_run": run.restored_run,
        "driver": driver,
        "exit_code": run.exit_code,
        "error": run.error,
    }
    row = tuple(values[name] for name in TAGGING_RUNS.names)
    return spark.createDataFrame([row], TAGGING_RUNS).coalesce(1)

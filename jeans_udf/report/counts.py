"""What the tables count: one query each, and answers as small as the vocabulary."""

from __future__ import annotations

from collections import Counter
from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jeans_udf.report.cards import run_summary
from jeans_udf.report.data import RunSummary
from jeans_udf.run_log import standing_runs
from jeans_udf.views.groups import Groups

Counts = Counter[str]
LATEST_RUNS = 6
PAIRS = "array<struct<chart:string,label:string>>"


def image_counts(image_status: DataFrame) -> tuple[Counts, Counts, Counts]:
    """Images by status, rejected ones by reason, and all by model_version."""
    statuses, reasons, versions = Counts(), Counts(), Counts()
    for row in image_status.groupBy("status", "reason", "model_version").count().collect():
        statuses[row["status"]] += row["count"]
        versions[row["model_version"]] += row["count"]
        if row["reason"] is not None:
            reasons[row["reason"]] += row["count"]
    return statuses, reasons, versions


def garment_counts(garments: DataFrame, groups: Groups) -> dict[str, Counts]:
    """Garments by category, and by the labels of each group."""
    single = ("category", *groups.exclusive)
    pairs = [F.array(_pair(name, F.col(name))) for name in single]
    pairs += [F.transform(name, partial(_pair, name)) for name in groups.multiple]
    # A missing list would make the whole of them null.
    known = [F.coalesce(pair, F.array().cast(PAIRS)) for pair in pairs]
    labels = garments.select(F.inline(F.concat(*known))).where("label IS NOT NULL")
    found = {name: Counts() for name in (*single, *groups.multiple)}
    for row in labels.groupBy("chart", "label").count().collect():
        found[row["chart"]][row["label"]] = row["count"]
    return found


def latest_runs(runs: DataFrame) -> tuple[RunSummary, ...]:
    """The last ones, the latest first."""
    return _summaries(runs, LATEST_RUNS)


def latest_drift(runs: DataFrame) -> RunSummary | None:
    """The last run whose drift was measured, of those whose rows no rollback took away."""
    return next(iter(_summaries(standing_runs(runs).where(F.size("drift") > 0), 1)), None)


def _summaries(runs: DataFrame, most: int) -> tuple[RunSummary, ...]:
    columns = [
        "run_id", "started_at", "ended_at", "images", "deleted", "garments", "status_counts",
        "images_per_second", "wall_seconds", "model_version", "exit_code", "drift",
    ]  # fmt: skip
    # Of the configuration this is all that the page shows.
    limit = F.get_json_object("config", "$.drift.max_index").cast("double").alias("max_drift")
    latest = runs.select(*columns, limit).orderBy(F.desc("started_at"), "run_id").limit(most)
    return tuple(run_summary(row.asDict(recursive=True)) for row in latest.collect())


def _pair(chart: str, label: Column) -> Column:
    return F.struct(F.lit(chart).alias("chart"), label.alias("label"))

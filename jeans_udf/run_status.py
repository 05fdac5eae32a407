"""The last runs, and what waits to be tagged: what ``tag_catalog.py --status`` prints."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.errors import AnalysisException
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from rich.console import Console
from rich.markup import escape
from rich.table import Table as TextTable

from jeans_udf import folders, tables
from jeans_udf.checkpoints import Work, find_work
from jeans_udf.commit import catalog_of
from jeans_udf.lease import holder
from jeans_udf.run_log import standing_runs
from jeans_udf.sources import Source
from jeans_udf.table_names import Output

LAST = 10


@dataclass(frozen=True)
class State:
    """``runs`` latest first; ``pending`` in words; ``at_work`` the runs that are alive."""

    runs: list[Row]
    pending: list[str]
    at_work: set[str]


def read_state(
    spark: SparkSession, source: Source, output: Output, model_version: str, last: int = LAST
) -> State:
    """Look, and change nothing. Raises `TableError` when there is no tagging_runs."""
    catalog = catalog_of(output)
    tables.require_table(spark, catalog.tagging_runs)
    runs = tables.read_table(spark, catalog.tagging_runs)
    latest = runs.orderBy(F.col("started_at").desc()).limit(last).collect()
    folder = tables.work_folder(spark, output)
    open_ids = [row.run_id for row in latest if row.ended_at is None]
    at_work = {run_id for run_id in open_ids if holder(spark, folder, run_id)}
    work = find_work(spark, source, output, catalog, model_version)
    pending = _pending(spark, source, work, standing_runs(runs).orderBy("run_no").collect())
    under_way = folders.read_text(spark, work.full)
    if under_way is not None:
        pending.append(f"a full pass is under way (runs {', '.join(under_way.splitlines())})")
    return State(latest, pending, at_work)


def print_state(state: State, console: Console | None = None) -> None:
    """The state as a table and a few sentences."""
    console = console or Console()
    text = TextTable(title="last runs", title_justify="left")
    for name in ("no", "run", "kind", "started (UTC)", "images", "garments", "rejected", "deleted",
                 "images/s", "exit"):  # fmt: skip
        text.add_column(name)
    for row in state.runs:
        rate = "" if row.images_per_second is None else f"{row.images_per_second:.1f}"
        text.add_row(
            str(row.run_no or ""), escape(row.run_id), row.kind or "",
            f"{row.started_at:%Y-%m-%d %H:%M:%S}", f"{row.images or 0:,}", f"{row.garments or 0:,}",
            f"{(row.status_counts or {}).get('rejected', 0):,}", f"{row.deleted or 0:,}", rate,
            _exit(row, state.at_work),
        )  # fmt: skip
    console.print(text)
    for row in state.runs[:1]:
        for group, index in sorted((row.drift or {}).items()):
            console.print(f"drift of {group}: {index:.3f}", highlight=False)
        if row.error:
            console.print(escape(f"last error: {row.error.splitlines()[0]}"), highlight=False)
    for sentence in state.pending:
        console.print(escape(f"pending: {sentence}"), highlight=False, soft_wrap=True)


def _exit(row: Row, at_work: set[str]) -> str:
    if row.ended_at is not None:
        return str(row.exit_code)
    return "at work" if row.run_id in at_work else "died"


def _pending(spark: SparkSession, source: Source, work: Work, done: list[Row]) -> list[str]:
    if not source.has_feed:
        fingerprint = source.fingerprint(spark)
        if fingerprint is None:
            return ["unknown: only comparing the whole source can tell what changed in it"]
        same = folders.read_text(spark, work.compared) == fingerprint
        return ["nothing"] if same else ["the source has changed since it was last compared"]
    if not folders.exists(spark, work.reconciled):
        return ["the whole source has to be compared with this bundle's rows"]
    seen = max((row.source_version_to for row in done if row.source_version_to is not None
                and row.source == str(source)), default=None)  # fmt: skip
    newest = source.version(spark)
    if seen is None or newest is None or seen >= newest:
        return ["nothing"]
    try:
        changes = tables.read_changes(spark, source.table, seen + 1)
        counts = changes.where("_change_type <> 'update_preimage'").groupBy("_change_type").count()
        rows = sorted((row["_change_type"], row["count"]) for row in counts.collect())
        told = ", ".join(f"{count:,} x {kind}" for kind, count in rows)
    except AnalysisException:
        told = "how many cannot be told from its history"
    return [f"versions {seen + 1} to {newest} of the source: {told or 'no row'}"]

"""Delta tables: find, check, create, append, merge.

The only module that imports Delta's Python API, but for the errors in `conflicts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from delta.tables import DeltaMergeBuilder, DeltaTable
from pyspark import inheritable_thread_target
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from jeans_udf import folders
from jeans_udf.errors import TableError
from jeans_udf.table_names import Output, Table

Result = TypeVar("Result")

PROPERTIES = {
    "delta.enableChangeDataFeed": "true",
    # Readers other than Spark read a table with vectors wrongly or not at all.
    "delta.enableDeletionVectors": "false",
}


@dataclass(frozen=True)
class Txn:
    """Marks a write: Delta skips one of the same ``app`` whose version is not above its last."""

    app: str
    version: int


def work_folder(spark: SparkSession, output: Output) -> str:
    """Folder for checkpoints and staged batches: the output, or one at the schema's location."""
    if output.is_path:
        return output.text
    try:
        if not spark.catalog.databaseExists(output.text):
            raise TableError(
                f"output {output.text}: there is no such schema; CREATE SCHEMA {output.text}, or "
                f"give a directory with a slash, as ./{output.text}"
            )
        quoted = ".".join(f"`{part}`" for part in output.text.split("."))
        rows = spark.sql(f"DESCRIBE SCHEMA {quoted}").collect()
    except AnalysisException as error:
        raise TableError(f"output {output.text}: {_first_line(error)}") from None
    for row in rows:
        if str(row[0]).lower() == "location" and row[1]:
            return str(row[1]).rstrip("/") + "/_tag_catalog"
    raise TableError(
        f"output {output.text}: DESCRIBE SCHEMA tells no location, and checkpoints need one; give "
        "the schema a managed location, or a directory as output"
    )


def table_exists(spark: SparkSession, table: Table) -> bool:
    """Whether there is a Delta table; raises `TableError` when something else stands there."""
    if table.is_path:
        if DeltaTable.isDeltaTable(spark, table.text):
            return True
        if any(not name.startswith((".", "_")) for name in folders.child_names(spark, table.text)):
            raise TableError(
                f"table {table}: this directory holds other files, but no Delta table (_delta_log "
                "is missing); give another directory"
            )
        return False
    try:
        if not spark.catalog.tableExists(table.text):
            return False
        DeltaTable.forName(spark, table.text)
    except AnalysisException as error:
        raise TableError(f"table {table}: no Delta table: {_first_line(error)}") from None
    return True


def require_table(spark: SparkSession, table: Table) -> None:
    """`TableError` unless the Delta table is there."""
    if not table_exists(spark, table):
        place = "in this directory" if table.is_path else "of this name"
        hint = "" if table.is_path else f"; a directory is given with a slash, as ./{table}"
        raise TableError(f"table {table}: there is no Delta table {place}{hint}")


def require_columns(
    spark: SparkSession, table: Table, wanted: T.StructType, *, exactly: bool = False, hint: str
) -> None:
    """`TableError` unless the columns are there with their types, and no others if ``exactly``."""
    got = {field.name: field.dataType.simpleString() for field in read_table(spark, table).schema}
    problems = []
    for field in wanted:
        kind = field.dataType.simpleString()
        if field.name not in got:
            problems.append(f"column {field.name} ({kind}) is missing")
        elif got[field.name] != kind:
            problems.append(f"column {field.name} is {got[field.name]}, wanted {kind}")
    if exactly:
        extra = [name for name in got if name not in wanted.names]
        problems += [f"column {name} is not known" for name in extra]
    if problems:
        raise TableError(f"table {table}: {'; '.join(problems)}. {hint}")


def is_delta_name(spark: SparkSession, table: Table) -> bool:
    """Whether an existing named table is a Delta table."""
    try:
        DeltaTable.forName(spark, table.text)
    except AnalysisException:
        return False
    return True


def has_change_feed(spark: SparkSession, table: Table) -> bool:
    """Whether the table records its changes."""
    return bool(_detail(spark, table)["properties"].get("delta.enableChangeDataFeed") == "true")


def require_plain_reader(spark: SparkSession, table: Table) -> None:
    """`TableError` if the table needs more than reader version 1, so other engines would err."""
    version = _detail(spark, table)["minReaderVersion"]
    if version > 1:
        raise TableError(
            f"table {table}: its Delta reader version is {version}, wanted 1 (no deletion vectors, "
            "no column mapping), which DuckDB, Polars and Spark read alike; write to a new output"
        )


def ensure_table(
    spark: SparkSession, table: Table, columns: T.StructType, comment: str, *, hint: str
) -> None:
    """Create the table with comments and change feed, or check that it is as we write it."""
    if table_exists(spark, table):
        _add_columns(spark, table, columns)
        require_columns(spark, table, columns, exactly=True, hint=hint)
        require_plain_reader(spark, table)
        return
    builder = DeltaTable.createIfNotExists(spark)
    builder = builder.location(table.text) if table.is_path else builder.tableName(table.text)
    builder = builder.addColumns(columns).comment(comment)
    for key, value in PROPERTIES.items():
        builder = builder.property(key, value)
    builder.execute()


def _add_columns(spark: SparkSession, table: Table, columns: T.StructType) -> None:
    """Columns that a later version of the product has brought, where that is the only change."""
    present = set(read_table(spark, table).columns)
    missing = [field for field in columns if field.name not in present and field.nullable]
    if not missing or not present < set(columns.names):
        return
    told = ", ".join(
        f"`{field.name}` {field.dataType.simpleString()} COMMENT {_comment(field)}"
        for field in missing
    )
    spark.sql(f"ALTER TABLE {table.sql} ADD COLUMNS ({told})")


def renew_comments(spark: SparkSession, table: Table, columns: T.StructType) -> None:
    """Comments follow the vocabulary, since views and readers go by them."""
    present = read_table(spark, table).schema
    for field in columns:
        if field.metadata.get("comment", "") != present[field.name].metadata.get("comment", ""):
            spark.sql(
                f"ALTER TABLE {table.sql} ALTER COLUMN `{field.name}` COMMENT {_comment(field)}"
            )


def _comment(field: T.StructField) -> str:
    text = str(field.metadata.get("comment", ""))
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def read_table(spark: SparkSession, table: Table, version: int | None = None) -> DataFrame:
    """The table's present rows, or those of a version."""
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", str(version))
    return reader.load(table.text) if table.is_path else reader.table(table.text)


def stream_changes(spark: SparkSession, table: Table, options: Mapping[str, str]) -> DataFrame:
    """A stream of the table's change feed, from its present rows on."""
    reader = spark.readStream.format("delta").option("readChangeFeed", "true").options(**options)
    return reader.load(table.text) if table.is_path else reader.table(table.text)


def read_changes(spark: SparkSession, table: Table, first_version: int) -> DataFrame:
    """The change feed from a version on."""
    reader = spark.read.format("delta").option("readChangeFeed", "true")
    reader = reader.option("startingVersion", str(first_version))
    return reader.load(table.text) if table.is_path else reader.table(table.text)


def read_log(spark: SparkSession, table: Table) -> None:
    """Have Delta hold the table's present state in memory, as its next commit wants it."""
    _detail(spark, table)


def table_id(spark: SparkSession, table: Table) -> str:
    """Delta's own id: another one after the table was dropped and made anew."""
    return str(_detail(spark, table)["id"])


def table_version(spark: SparkSession, table: Table) -> int:
    """The newest version."""
    row = _delta(spark, table).history(1).select("version").first()
    assert row is not None
    return int(row.version)


def restore(spark: SparkSession, table: Table, version: int) -> None:
    """Bring back the rows of a version, as a new one. `TableError` where its files are gone."""
    if table_version(spark, table) == version:
        return
    try:
        _delta(spark, table).restoreToVersion(version)
    except Exception as error:
        raise TableError(
            f"table {table}: version {version} cannot be restored, as after a VACUUM: "
            f"{_first_line(error)}"
        ) from None


def marked(spark: SparkSession, txn: Txn) -> AbstractContextManager[None]:
    """Marks every write of the block: each table may be written once in it."""
    prefix = "spark.databricks.delta.write."
    return settings(spark, {f"{prefix}txnAppId": txn.app, f"{prefix}txnVersion": str(txn.version)})


def append(frame: DataFrame, table: Table, txn: Txn | None = None) -> None:
    """Add rows in one commit."""
    writer = frame.write.format("delta").mode("append")
    if txn is not None:
        writer = writer.option("txnAppId", txn.app).option("txnVersion", str(txn.version))
    if table.is_path:
        writer.save(table.text)
    else:
        writer.saveAsTable(table.text)


def overwrite(frame: DataFrame, table: Table) -> None:
    """Put these rows in the place of all others, in one commit."""
    writer = frame.write.format("delta").mode("overwrite")
    if table.is_path:
        writer.save(table.text)
    else:
        writer.saveAsTable(table.text)


def merge_into(table: Table, rows: DataFrame, condition: str) -> DeltaMergeBuilder:
    """Begin a MERGE of ``rows`` (alias s) into the table (alias t)."""
    target = _delta(rows.sparkSession, table).alias("t")
    return target.merge(rows.alias("s"), condition)


def at_once(spark: SparkSession, looks: Sequence[Callable[[], Result]]) -> list[Result]:
    """Results of independent steps, taken beside one another: each waits mostly for Delta's log."""
    with ThreadPoolExecutor(max(1, len(looks))) as pool:
        begun = [pool.submit(inheritable_thread_target(spark)(look)) for look in looks]
        return [each.result() for each in begun]


PICTURES = {"spark.sql.parquet.columnarReaderBatchSize": "512"}
"""`settings` under which pictures are read: 4,096 rows, as Spark reads them, are gigabytes of a
table with large row groups, as somebody else wrote or compacted it."""


@contextmanager
def settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Session settings for the length of a block."""
    before = {key: spark.conf.get(key, None) for key in values}
    try:
        for key, value in values.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, old in before.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)


def _delta(spark: SparkSession, table: Table) -> DeltaTable:
    if table.is_path:
        return DeltaTable.forPath(spark, table.text)
    return DeltaTable.forName(spark, table.text)


def _detail(spark: SparkSession, table: Table) -> T.Row:
    row = _delta(spark, table).detail().first()
    assert row is not None
    return row


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

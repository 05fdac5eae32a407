"""Where the images come from: a Delta table, a folder of Parquet, or whatever a catalog names.

A Delta table with its change data feed on tells what changed. Any other source is compared with
what the output holds, key by key and hash by hash: a table of another format, a JDBC table named
through one of Spark's catalogs (``spark.sql.catalog.NAME``), a folder of Parquet files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from jeans_udf import folders, tables
from jeans_udf.errors import TableError
from jeans_udf.table_names import Table

KEYS = T.StructType(
    [T.StructField("image_id", T.StringType()), T.StructField("product_id", T.StringType())]
)
"""What every source must have; and at least one of `PIXEL_COLUMNS`."""

PIXEL_COLUMNS = {"image": T.BinaryType(), "path": T.StringType()}

HINT = "the source wants image_id, product_id and image (bytes) or path"


@dataclass(frozen=True)
class Source:
    """A reference to product images, and how they can be read."""

    table: Table
    format: Literal["delta", "parquet", "catalog"]
    has_feed: bool

    def __str__(self) -> str:
        return str(self.table)

    def read(self, spark: SparkSession, version: int | None = None) -> DataFrame:
        """The present rows, or those of a Delta version; column names in lower case."""
        if self.format == "parquet":
            frame = spark.read.parquet(self.table.text)
        elif self.format == "delta":
            frame = tables.read_table(spark, self.table, version)
        else:
            frame = spark.read.table(self.table.text)
        # Databases give their names in capitals.
        return frame.toDF(*(name.lower() for name in frame.columns))

    def identity(self, spark: SparkSession) -> str:
        """Another one after a Delta table was dropped and made anew."""
        return tables.table_id(spark, self.table) if self.format == "delta" else ""

    def version(self, spark: SparkSession) -> int | None:
        """The newest Delta version; None for other formats."""
        return tables.table_version(spark, self.table) if self.format == "delta" else None

    def fingerprint(self, spark: SparkSession) -> str | None:
        """Equal only while nothing changed; None where only reading all of it would tell."""
        version = self.version(spark)
        if version is not None:
            return f"version {version}"
        files = sorted(self.read(spark).inputFiles())
        if not files:
            return None
        states = folders.file_states(spark, files)
        return hashlib.sha256("\n".join(states).encode()).hexdigest()


def open_source(spark: SparkSession, table: Table) -> Source:
    """Find out what ``table`` is. Raises `TableError` unless product images can be read of it."""
    source = _find(spark, table)
    _check_columns(source.read(spark).schema, table)
    return source


def _find(spark: SparkSession, table: Table) -> Source:
    if table.is_path:
        names = folders.child_names(spark, table.text)
        if "_delta_log" not in names and any(_is_parquet(name) for name in names):
            return Source(table, "parquet", has_feed=False)
        tables.require_table(spark, table)
        return Source(table, "delta", tables.has_change_feed(spark, table))
    try:
        if spark.catalog.tableExists(table.text) and not tables.is_delta_name(spark, table):
            return Source(table, "catalog", has_feed=False)
    except AnalysisException as error:
        reason = str(error).strip().splitlines()[0]
        raise TableError(f"table {table}: cannot be looked up: {reason}") from None
    tables.require_table(spark, table)
    return Source(table, "delta", tables.has_change_feed(spark, table))


def _is_parquet(name: str) -> bool:
    # Also a folder of partitions, as day=2026-11-26.
    return name.endswith(".parquet") or "=" in name


def _check_columns(schema: T.StructType, table: Table) -> None:
    got = {field.name: field.dataType for field in schema}
    problems = [
        f"column {field.name} ({field.dataType.simpleString()}) is missing"
        for field in KEYS
        if field.name not in got
    ]
    if not PIXEL_COLUMNS.keys() & got.keys():
        problems.append("columns image and path are missing")
    for name, wanted in {**{f.name: f.dataType for f in KEYS}, **PIXEL_COLUMNS}.items():
        if name in got and got[name] != wanted and not _same_text(got[name], wanted):
            problems.append(
                f"column {name} is {got[name].simpleString()}, wanted {wanted.simpleString()}"
            )
    if problems:
        raise TableError(f"table {table}: {'; '.join(problems)}; {HINT}")


def _same_text(got: T.DataType, wanted: T.DataType) -> bool:
    return isinstance(wanted, T.StringType) and isinstance(got, T.VarcharType | T.CharType)

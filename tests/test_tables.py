"""References, checks and commits of Delta tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from jeans_udf import tables
from jeans_udf.errors import TableError
from jeans_udf.schemas import PRODUCT_IMAGES
from jeans_udf.table_names import Table, parse_output, parse_table
from jeans_udf.tables import Txn

COLUMNS = T.StructType(
    [
        T.StructField("key", T.StringType(), False, {"comment": "The key"}),
        T.StructField("it", T.IntegerType(), True, {"comment": "It's a number"}),
    ]
)


def test_a_slash_makes_a_directory() -> None:
    assert parse_table("shop.tags.garments") == Table("shop.tags.garments", False)
    assert parse_table("./here") == Table(str(Path.cwd() / "here"), True)
    assert parse_table("s3://bucket/t/") == Table("s3://bucket/t", True)
    assert parse_table("a.b").sql == "`a`.`b`"
    assert parse_table("/odd`place").sql == "delta.`/odd``place`"
    assert parse_output("/out/").table("garments") == Table("/out/garments", True)
    assert parse_output("shop.tags").table("garments") == Table("shop.tags.garments", False)


@pytest.mark.parametrize("text", ["", "a.b.c.d", "A", "a-b", "a;drop", "a b", "a.`b`", "a..b"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(TableError, match="wanted a directory"):
        parse_table(text)
    with pytest.raises(TableError, match="wanted a directory"):
        parse_output(text)


@pytest.fixture(scope="module")
def table(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Table:
    made = parse_table(str(tmp_path_factory.mktemp("tables") / "made"))
    tables.ensure_table(spark, made, COLUMNS, "A table's comment", hint="")
    return made


def test_tables_are_plain_and_commented(spark: SparkSession, table: Table) -> None:
    detail = tables._detail(spark, table)
    assert (detail.minReaderVersion, detail.description) == (1, "A table's comment")
    assert detail.properties["delta.enableChangeDataFeed"] == "true"
    assert not {"deletionVectors", "columnMapping"} & set(detail.tableFeatures)
    columns = tables.read_table(spark, table).schema
    assert [c.metadata["comment"] for c in columns] == ["The key", "It's a number"]
    assert tables.has_change_feed(spark, table)
    tables.require_plain_reader(spark, table)


def test_a_marked_write_happens_once(spark: SparkSession, table: Table) -> None:
    rows = spark.createDataFrame([("a", 1)], COLUMNS).coalesce(1)
    for _ in range(2):
        tables.append(rows, table, Txn("app", 3))
    other = spark.createDataFrame([("b", 2)], COLUMNS).coalesce(1)
    for _ in range(2):
        for condition in ("t.key = s.key", "false"):
            merge = tables.merge_into(table, other, condition).whenNotMatchedInsertAll()
            with tables.marked(spark, Txn("app", 4)):
                merge.execute()

    assert sorted(r.key for r in tables.read_table(spark, table).collect()) == ["a", "b"]
    assert tables.table_version(spark, table) == 2
    assert spark.conf.get("spark.databricks.delta.write.txnAppId", None) is None


def test_a_table_of_another_kind_is_named(
    spark: SparkSession, table: Table, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match="there is no Delta table in this directory"):
        tables.require_table(spark, parse_table(str(tmp_path / "absent")))
    with pytest.raises(TableError, match=r"no Delta table of this name.*as \./nowhere"):
        tables.require_table(spark, parse_table("nowhere"))
    with pytest.raises(TableError, match="no Delta table|there is no Delta table"):
        tables.require_table(spark, parse_table("no_catalog.nowhere.t"))
    (tmp_path / "a.parquet").write_bytes(b"x")
    with pytest.raises(TableError, match="holds other files, but no Delta table"):
        tables.table_exists(spark, parse_table(str(tmp_path)))
    with pytest.raises(TableError, match="column image_id .string. is missing; .*next"):
        tables.require_columns(spark, table, PRODUCT_IMAGES, hint="next")
    wrong = T.StructType([T.StructField("key", T.IntegerType())])
    with pytest.raises(TableError, match="key is string, wanted int; column it is not known"):
        tables.require_columns(spark, table, wanted=wrong, exactly=True, hint="next")


def test_tables_without_change_feed_or_with_vectors_are_refused(
    spark: SparkSession, tmp_path: Path
) -> None:
    other = parse_table(str(tmp_path / "other"))
    spark.sql(
        f"CREATE TABLE {other.sql} (key string) USING delta "
        "TBLPROPERTIES (delta.enableDeletionVectors = true)"
    )
    assert not tables.has_change_feed(spark, other)
    with pytest.raises(TableError, match="reader version is 3, wanted 1"):
        tables.require_plain_reader(spark, other)


def test_an_output_without_its_schema_is_refused(spark: SparkSession) -> None:
    with pytest.raises(TableError, match="CREATE SCHEMA nowhere"):
        tables.work_folder(spark, parse_output("nowhere"))
    assert tables.work_folder(spark, parse_output("default")).endswith("/_tag_catalog")

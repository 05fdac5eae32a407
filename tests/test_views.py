"""The analysts' views over a few rows, as temporary views of a directory and in a schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import types as T
from stub_tagger import VOCABULARY

from jeans_udf import tables
from jeans_udf.schemas import IMAGE_STATUS, garments_schema
from jeans_udf.table_names import Output, parse_output
from jeans_udf.views import publish_views

IMAGES = [
    {"image_id": "1", "product_id": "p", "status": "tagged", "garments": 2},
    {"image_id": "2", "product_id": "p", "status": "tagged", "garments": 1},
    {"image_id": "3", "product_id": "q", "status": "rejected", "reason": "empty", "garments": 0},
    {"image_id": "4", "product_id": None, "status": "tagged", "garments": 1},
]
GARMENTS = [
    {"garment_id": "a", "image_id": "1", "product_id": "p", "score": 0.5, "wash": "dark"},
    {"garment_id": "c", "image_id": "1", "product_id": "p", "score": 0.75, "wash": "dark"},
    {"garment_id": "b", "image_id": "2", "product_id": "p", "score": 0.75, "wash": "light"},
    {"garment_id": "d", "image_id": "4", "product_id": None, "score": 1.0, "wash": "dark"},
]


def fill(spark: SparkSession, output: Output) -> None:
    for name, schema, rows in (
        ("image_status", IMAGE_STATUS, IMAGES),
        ("garments", garments_schema(VOCABULARY), GARMENTS),
    ):
        tables.ensure_table(spark, output.table(name), schema, name, hint="")
        frame = spark.createDataFrame([_full(row, schema) for row in rows], schema)
        tables.append(frame.coalesce(1), output.table(name))


def _full(row: dict[str, Any], schema: T.StructType) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in schema.names)


def check(spark: SparkSession, products_view: str, rejected_view: str) -> None:
    products = {row.product_id: row for row in spark.table(products_view).collect()}
    assert set(products) == {"p", "q"}
    best = products["p"]
    # b and c score alike: the lesser id is taken, on every run.
    assert (best.images, best.garments, best.garment_id) == (2, 3, "b")
    assert (best.image_id, best.wash) == ("2", "light")
    assert (products["q"].images, products["q"].garments, products["q"].wash) == (1, 0, None)
    columns = spark.table(products_view).schema
    assert columns.names[-5:] == ["score", "wash", "wash_score", "details", "attributes"]
    assert all(column.metadata.get("comment") for column in columns)
    assert columns["wash"].metadata["comment"].startswith("Best garment: One of: dark, light")
    rejected = spark.table(rejected_view).collect()
    assert [(r.image_id, r.product_id, r.reason) for r in rejected] == [("3", "q", "empty")]


def test_views_of_a_directory_can_be_pasted(spark: SparkSession, tmp_path: Path) -> None:
    output = parse_output(str(tmp_path / "it's out"))
    fill(spark, output)
    publish_views(spark, output, VOCABULARY)
    check(spark, "product_attributes", "rejected_images")

    text = (tmp_path / "it's out" / "views.sql").read_text()
    spark.catalog.dropTempView("product_attributes")
    spark.catalog.dropTempView("rejected_images")
    lines = [line for line in text.splitlines() if not line.startswith("--")]
    for statement in "\n".join(lines).split(";\n"):
        if statement.strip():
            spark.sql(statement)
    check(spark, "product_attributes", "rejected_images")


@pytest.fixture
def schema(spark: SparkSession) -> Output:
    spark.sql("CREATE SCHEMA IF NOT EXISTS views_test")
    return parse_output("views_test")


def test_views_in_a_schema(spark: SparkSession, schema: Output) -> None:
    try:
        fill(spark, schema)
        publish_views(spark, schema, VOCABULARY)
        check(spark, "views_test.product_attributes", "views_test.rejected_images")
    finally:
        spark.sql("DROP SCHEMA views_test CASCADE")

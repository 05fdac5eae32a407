"""The README's SQL: a correction as it is written there, and a change feed turned on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jeans_udf import schemas, tables
from jeans_udf.sources import open_source
from jeans_udf.table_names import Output, parse_output
from jeans_udf.views.publishing import TABLES, Publication, create_views
from jeans_udf.vocabulary import load_vocabulary

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GARMENTS = schemas.garments_schema(load_vocabulary(ROOT / "conf" / "vocabulary.yaml"))
SCHEMAS = {
    "image_status": schemas.IMAGE_STATUS, "garments": GARMENTS,
    "garment_crops": schemas.GARMENT_CROPS, "tagging_runs": schemas.TAGGING_RUNS,
    "image_detections": schemas.IMAGE_DETECTIONS,
    "attribute_overrides": schemas.ATTRIBUTE_OVERRIDES,
}  # fmt: skip
FOUND = {  # image_id: product_id, details
    "P1001/front.jpg": ("P1001", ["patterned"]),
    "P1001/back.jpg": ("P1001", []),
    "P1002/front.jpg": ("P1002", []),
    "P1002/back.jpg": ("P1002", []),
}


def statement(beginning: str) -> str:
    blocks = re.findall(r"```sql\n(.*?)```", README, flags=re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(beginning)]
    return str(block).strip().rstrip(";")


@pytest.fixture
def output(spark: SparkSession, tmp_path: Path) -> Output:
    output = parse_output(f"{tmp_path}/tags")
    for name in TABLES:
        tables.ensure_table(spark, output.table(name), SCHEMAS[name], name, hint="")
    for name in ("image_status", "garments"):
        rows = []
        for image_id, (product_id, details) in FOUND.items():
            row = {"garment_id": image_id, "image_id": image_id, "product_id": product_id,
                   "garment_no": 0, "category": "jeans", "score": 0.75, "details": details,
                   "status": "tagged"}  # fmt: skip
            rows.append(tuple(row.get(column) for column in SCHEMAS[name].names))
        frame = spark.createDataFrame(rows, SCHEMAS[name]).coalesce(1)
        tables.append(frame, output.table(name))
    return output


def test_a_correction_is_followed(spark: SparkSession, output: Output) -> None:
    insert = statement("INSERT INTO").replace("/abs/path/catalog/tags", output.text)
    spark.sql(insert)
    names = create_views(spark, output, GARMENTS, Publication(temporary=True))
    try:
        assert spark.table("ignored_overrides").collect() == []
        reviewed = {row.image_id: row.details for row in spark.table("reviewed_garments").collect()}
    finally:
        for name in names:
            spark.catalog.dropTempView(name)
    # All images of P1001 have the details, one image of P1002 has no garment any more.
    both = ["cuffed", "faded"]
    assert reviewed == {"P1001/front.jpg": both, "P1001/back.jpg": both, "P1002/front.jpg": []}


def test_the_feed_of_a_source_of_ones_own(spark: SparkSession, tmp_path: Path) -> None:
    name = f"delta.`{tmp_path}/own`"
    spark.sql(f"CREATE TABLE {name} (image_id STRING, product_id STRING, path STRING) USING delta")
    source = parse_output(f"{tmp_path}/").table("own")
    assert not open_source(spark, source).has_feed
    spark.sql(statement("ALTER TABLE").replace("shop.product_images", name))
    assert open_source(spark, source).has_feed

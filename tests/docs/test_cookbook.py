"""Every query of docs/cookbook.md, in Spark and in DuckDB, with the rows that it should give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from readers import duckdb_connection

from jeans_udf import schemas, tables
from jeans_udf.table_names import Output, parse_output
from jeans_udf.vocabulary import load_vocabulary

ROOT = Path(__file__).parents[2]
COOKBOOK = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
QUERIES = dict(re.findall(r"^## (.+?)\n.*?```sql\n(.*?)```", COOKBOOK, re.DOTALL | re.MULTILINE))
BLOCKS = re.findall(r"^```(?:python)?\n(.*?)```", COOKBOOK, re.DOTALL | re.MULTILINE)
"""What makes the names: in Spark, in DuckDB, and in DuckDB where there is no network."""
VOCABULARY = load_vocabulary(ROOT / "conf" / "vocabulary.yaml")

Row = dict[str, Any]


def day(number: int) -> datetime:
    return datetime(2026, 11, number, 12, tzinfo=UTC)


def garment(key: str, image: str, product: str | None, **more: Any) -> Row:
    return {"garment_id": key, "image_id": image, "product_id": product, "garment_no": 0,
            "category": "jeans", "score": 0.75, "details": [], "attributes": [],
            "tagged_at": day(2), "mask_area": 5000} | more  # fmt: skip


ROWS: dict[str, list[Row]] = {
    "garments": [
        garment("a", "1", "P1001", wash="dark", wash_score=0.75, fit="slim", fit_score=0.75,
                details=["cuffed", "faded"]),
        garment("b", "2", "P1001", wash="light", wash_score=0.5, fit="straight", fit_score=0.875,
                details=["cuffed"], tagged_at=day(10)),
        garment("c", "3", "P2", wash="dark", wash_score=0.25, fit="slim", fit_score=0.5,
                tagged_at=day(11)),
        garment("d", "3", "P2", category="shorts", garment_no=1, score=0.5, mask_area=10),
        garment("e", "4", "P3", wash="light", wash_score=0.875, length="cropped",
                details=["raw_hem"], mask_area=999),
        garment("f", "5", "P3", fit="relaxed", fit_score=0.5),
        garment("g", "4", "P3", category="shorts", garment_no=1, score=0.5, wash="dark"),
        # As many brands without a wash as Edwin's, and a score as b's: nulls are last in both.
        garment("h", "10", None, fit="straight", fit_score=0.875),
    ],
    "image_status": [
        {"image_id": str(no), "product_id": product, "status": "tagged", "garments": found,
         "width": 100, "height": 100, "image_sha256": sha}
        for no, product, found, sha in (
            (1, "P1001", 1, "x"), (2, "P1001", 1, "y"), (3, "P2", 2, "x"), (4, "P3", 1, "z"),
            (5, "P3", 1, "u"), (6, "P4", 0, "v"))
    ] + [
        {"image_id": str(no), "product_id": "P5", "status": "rejected", "reason": reason,
         "garments": 0} for no, reason in ((7, "empty"), (8, "truncated"), (9, "empty"))
    ],
    "product_images": [
        {"image_id": str(no), "product_id": product, "title": title, "description": description}
        for no, product, title, description in (
            (1, "P1001", "Levis 501", "A SKINNY pair"), (2, "P1001", "Levis 501", "skinny, blue"),
            (3, "P2", "Lee Rider", None), (4, "P3", "Edwin Nashville", "relaxed"),
            (5, "P3", "Edwin Nashville", "relaxed"), (10, None, None, "skinny"))
    ],
    "tagging_runs": [
        {"run_id": f"r{no}", "run_no": no, "kind": "refresh", "images": images, "garments": 6,
         "images_per_second": 12.34, "ended_at": ended, "exit_code": code}
        for no, images, ended, code in ((1, 9, day(1), 0), (2, 0, day(2), 0), (3, 0, None, None))
    ],
    "similar_products": [
        {"product_id": "P1001", "neighbour_id": "P3", "rank": 2, "cosine": 0.5},
        {"product_id": "P1001", "neighbour_id": "P2", "rank": 1, "cosine": 0.75},
        {"product_id": "P2", "neighbour_id": "P1001", "rank": 1, "cosine": 0.75},
    ],
}  # fmt: skip

WANTED: dict[str, list[tuple[Any, ...]]] = {
    "Which washes are there, by category?": [
        ("jeans", "dark", 2), ("jeans", "light", 2), ("jeans", None, 2), ("shorts", "dark", 1),
        ("shorts", None, 1),
    ],
    "What is the share of dark slim jeans, week by week?": [
        (date(2026, 11, 2), 1, 4, 0.25), (date(2026, 11, 9), 1, 2, 0.5),
    ],
    "Which products have photos that disagree about the wash?": [("P1001", 2, "dark", "light")],
    "For which brands are washes missing most?": [
        ("Edwin", 2, 1), (None, 1, 1), ("Lee", 1, 0), ("Levis", 2, 0),
    ],
    "Which details are most common on jeans?": [("cuffed", 2), ("faded", 1), ("raw_hem", 1)],
    "Which products are light, cropped and have a raw hem?": [("P3",)],
    "Which products have no garment in any of their pictures?": [("P4", 1), ("P5", 3)],
    "What was rejected, and how much of it?": [("empty", 2, 22.2), ("truncated", 1, 11.1)],
    "Where does the description contradict the picture?": [
        ("P1001", "straight", 0.88, "skinny, blue"), (None, "straight", 0.88, "skinny"),
        ("P1001", "slim", 0.75, "A SKINNY pair"),
    ],
    "Which answers are the least sure?": [("c", "dark", 0.25), ("b", "light", 0.5)],
    "In which photos does the garment fill less than a tenth of the picture?": [("4", 0.1)],
    "Which photos show several garments?": [
        ("3", 2, "jeans", "shorts"), ("4", 2, "jeans", "shorts"),
    ],
    "Which files stand under more than one product?": [("x", 2, "P1001")],
    "How did the last runs go?": [
        (2, "refresh", 0, 6, 12.3, 0), (1, "refresh", 9, 6, 12.3, 0),
    ],
    "What is similar to a product, and does it look alike?": [
        (1, "P2", 0.75, "jeans", "dark", "slim"), (2, "P3", 0.5, "jeans", "light", "relaxed"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def output(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Output:
    output = parse_output(str(tmp_path_factory.mktemp("cookbook")))
    kinds = {
        "garments": schemas.garments_schema(VOCABULARY), "image_status": schemas.IMAGE_STATUS,
        "product_images": schemas.PRODUCT_IMAGES, "tagging_runs": schemas.TAGGING_RUNS,
        "similar_products": schemas.SIMILAR_PRODUCTS,
    }  # fmt: skip
    for name, schema in kinds.items():
        tables.ensure_table(spark, output.table(name), schema, name, hint="")
        rows = [tuple(row.get(column) for column in schema.names) for row in ROWS[name]]
        tables.append(spark.createDataFrame(rows, schema).coalesce(1), output.table(name))
    return output


@pytest.fixture
def in_spark(spark: SparkSession, output: Output) -> Iterator[SparkSession]:
    for name in ROWS:
        tables.read_table(spark, output.table(name)).createOrReplaceTempView(name)
    yield spark
    for name in ROWS:
        spark.catalog.dropTempView(name)


def test_there_is_a_row_for_every_question() -> None:
    assert len(QUERIES) >= 12 and QUERIES.keys() == WANTED.keys()


@pytest.mark.parametrize("question", QUERIES)
def test_in_spark(in_spark: SparkSession, question: str) -> None:
    found = [tuple(row) for row in in_spark.sql(QUERIES[question]).collect()]
    assert _plain(found) == WANTED[question]


@pytest.mark.parametrize("question", QUERIES)
def test_in_duckdb(output: Output, question: str) -> None:
    connection = duckdb_connection()
    for name in ROWS:
        connection.execute(f"CREATE VIEW {name} AS FROM delta_scan('{output.text}/{name}')")
    found = connection.execute(QUERIES[question]).fetchall()
    assert _plain(found) == WANTED[question]


def test_the_names_in_spark(spark: SparkSession, output: Output) -> None:
    zone = spark.conf.get("spark.sql.session.timeZone")
    spark.conf.set("spark.sql.session.timeZone", "America/New_York")
    try:
        for statement in BLOCKS[0].replace("/data/tags", output.text).split(";\n"):
            if statement.strip():
                spark.sql(statement)
        assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
        assert spark.table("garments").count() == len(ROWS["garments"])
    finally:
        spark.conf.set("spark.sql.session.timeZone", zone)
        for name in ("garments", "image_status"):
            spark.catalog.dropTempView(name)


def test_the_names_in_duckdb(output: Output) -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[2], names)  # the cookbook's own way where there is no network
    connection = names["connection"]
    zone = "SELECT current_setting('TimeZone')"
    assert connection.execute(zone).fetchall() == [("UTC",)]
    connection.execute("SET TimeZone = 'America/New_York'")
    load, rest = BLOCKS[1].replace("/data/tags", output.text).split("\n", 1)
    assert load == "INSTALL delta; LOAD delta;", "this would want the network"
    connection.execute(rest)
    assert connection.execute(zone).fetchall() == [("UTC",)]
    counts = "SELECT (SELECT count(*) FROM garments), (SELECT count(*) FROM image_status)"
    wanted = [(len(ROWS["garments"]), len(ROWS["image_status"]))]
    assert connection.execute(counts).fetchall() == wanted


def _plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Decimals and single floats as floats of few digits."""
    def value(one: Any) -> Any:
        if one is None or isinstance(one, str | int | date):
            return one
        return round(float(one), 3)

    return [tuple(map(value, row)) for row in rows]

"""Reports out of Delta tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from report_pages import (
    MOMENT,
    ROOT,
    Page,
    garment_row,
    image_row,
    photo_bytes,
    square_mask,
)

from jeans_udf.config import ImageLimits
from jeans_udf.errors import TableError
from jeans_udf.images import encode_png_rgba
from jeans_udf.report.data import Report
from jeans_udf.report.page import render_page
from jeans_udf.report.read import ReportOptions, read_report
from jeans_udf.schemas import (
    GARMENT_CROPS,
    IMAGE_STATUS,
    PRODUCT_IMAGES,
    TAGGING_RUNS,
)
from jeans_udf.schemas import garments_schema as schema_of_garments
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.vocabulary import load_vocabulary


@pytest.fixture(scope="module")
def tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tagged photos, one without a garment, five rejected of two reasons."""
    folder = tmp_path_factory.mktemp("tags")
    garments_schema = schema_of_garments(load_vocabulary(ROOT / "conf" / "vocabulary.yaml"))
    data = {f"P{n}/a.png": photo_bytes(80, 60, (n * 20, 90, 90)) for n in range(1, 5)}
    data |= {f"P{n}/a.png": b"" for n in range(5, 10)}
    common = {"run_id": "r1", "model_version": "default-01", "tagged_at": MOMENT}

    def status(image_id: str, number: int) -> dict[str, Any]:
        name = "tagged" if number < 4 else "no_garment" if number == 4 else "rejected"
        reason = None if number < 5 else "empty" if number < 9 else "truncated"
        row = image_row(data[image_id], image_id=image_id, product_id=f"P{number}")
        return row | common | {"status": name, "reason": reason, "garments": int(number < 4)}

    rows = [status(image_id, n) for n, image_id in enumerate(data, start=1)]
    garments = [
        garment_row(square_mask(), garment_id=f"g{n}", **common)
        | {"image_id": f"P{n}/a.png", "product_id": f"P{n}", "mask_area": 1500}
        | {"attributes": ["dark", "slim", "faded"], "image_sha256": "0"}
        for n in (1, 2, 3)
    ]
    png = encode_png_rgba(np.full((50, 30, 4), 255, np.uint8))
    crops = [{"garment_id": f"g{n}", "crop": png, "width": 30, "height": 50} for n in (1, 2, 3)]
    run = {
        "run_id": "r1", "started_at": MOMENT, "ended_at": MOMENT, "images": 9, "garments": 3,
        "status_counts": {"tagged": 3, "rejected": 5}, "images_per_second": 4.5, "exit_code": 0,
        "model_version": "default-01",
    }  # fmt: skip
    contents: list[tuple[str, Any, list[dict[str, Any]]]] = [
        ("product_images", PRODUCT_IMAGES, rows),
        ("image_status", IMAGE_STATUS, rows),
        ("garments", garments_schema, garments),
        ("garment_crops", GARMENT_CROPS, [c | {"image_id": "-"} for c in crops]),
        ("tagging_runs", TAGGING_RUNS, [run]),
    ]
    for name, schema, values in contents:
        tuples = [tuple(value.get(column) for column in schema.names) for value in values]
        frame = spark.createDataFrame(tuples, schema, verifySchema=False)
        frame.coalesce(1).write.format("delta").save(str(folder / name))
    return folder


@pytest.fixture
def read(spark: SparkSession, tables: Path) -> Callable[..., Report]:
    def read(**options: Any) -> Report:
        source, output = parse_table(f"{tables}/product_images"), parse_output(f"{tables}/")
        return read_report(spark, source, output, ImageLimits(), ReportOptions(**options))

    return read


def test_tables_become_a_page(read: Callable[..., Report]) -> None:
    report = read()
    assert report.statuses == {"rejected": 5, "tagged": 3, "no_garment": 1}
    assert report.images == 9 and report.garments == 3 and report.run is not None
    assert report.run.images_per_second == 4.5 and report.run.rejected == 5
    assert {chart.title: dict(chart.counts) for chart in report.charts} == {
        "Category": {"jeans": 3}, "Wash": {"dark": 3}, "Fit": {"slim": 3}, "Length": {},
        "Details": {"faded": 3}, "Rejected": {"empty": 4, "truncated": 1},
    }  # fmt: skip
    assert {card.image_id for card in report.tagged.cards} == {f"P{n}/a.png" for n in (1, 2, 3)}
    for card in report.tagged.cards:
        assert card.title == "Blue jeans" and card.note is None
        assert card.picture is not None and card.overlay is not None
        assert card.garments[0].crop is not None
    # Of each reason, but not all of the many.
    assert sorted(card.reason for card in report.rejected.cards) == ["empty"] * 3 + ["truncated"]
    assert report.rejected.total == 5 and report.blank.cards[0].image_id == "P4/a.png"
    text = Page(render_page(report)).text
    assert "4 of 5 shown" in text and "all 3 shown" in text


def test_a_smaller_sample_is_part_of_a_larger_one(read: Callable[..., Report]) -> None:
    some, again = read(samples=2), read(samples=2, with_pictures=False)
    assert [c.image_id for c in some.tagged.cards] == [c.image_id for c in again.tagged.cards]
    assert len(some.tagged.cards) == 2 and some.tagged.total == 3
    assert all(card.picture is None and not card.overlay for card in again.tagged.cards)


def test_a_missing_table_is_named(spark: SparkSession, tables: Path, tmp_path: Path) -> None:
    source, output = parse_table(f"{tables}/product_images"), parse_output(f"{tmp_path}/")
    with pytest.raises(TableError, match="image_status"):
        read_report(spark, source, output, ImageLimits(), ReportOptions())


def test_the_queries_on_the_page_run(spark: SparkSession, read: Callable[..., Report]) -> None:
    washes, rejected = (q.text for q in read().queries if q.language == "Spark SQL")
    assert [tuple(row) for row in spark.sql(washes).collect()] == [("jeans", "dark", 3, 0.91)]
    assert len(spark.sql(rejected).collect()) == 5

"""Reports out of Delta tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession
from readers import duckdb_connection
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
from jeans_udf.errors import ConfigError, TableError
from jeans_udf.png import encode_png_rgba
from jeans_udf.report import read as read_module
from jeans_udf.report.data import Report
from jeans_udf.report.page import render_page
from jeans_udf.report.quality import vocabulary_of
from jeans_udf.report.read import ReportOptions, read_report
from jeans_udf.schemas import (
    ATTRIBUTE_OVERRIDES,
    GARMENT_CROPS,
    IMAGE_STATUS,
    PRODUCT_IMAGES,
    SIMILAR_PRODUCTS,
    TAGGING_RUNS,
)
from jeans_udf.schemas import garments_schema as schema_of_garments
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.tables import PICTURES
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
        garment_row(square_mask(), garment_id=f"g{n}", fit_score=0.12 if n == 2 else 0.52, **common)
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
    def read(folder: Path = tables, **options: Any) -> Report:
        source, output = parse_table(f"{folder}/product_images"), parse_output(f"{folder}/")
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


def test_pictures_are_read_a_few_rows_at_a_time(
    spark: SparkSession, read: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, make = [], read_module.make_cards
    (name,) = PICTURES

    def watched(*args: Any) -> Any:
        seen.append(spark.conf.get(name))
        return make(*args)

    monkeypatch.setattr(read_module, "make_cards", watched)
    before = spark.conf.get(name)
    read(samples=1)
    # 4,096 rows of 130 kB, Spark's own, are half a gigabyte.
    assert seen == ["512"] and spark.conf.get(name) == before == "4096"


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
    queries = read().queries
    washes, rejected = (q.text for q in queries if q.language == "Spark SQL")
    assert [tuple(row) for row in spark.sql(washes).collect()] == [("jeans", "dark", 3, 0.91)]
    assert len(spark.sql(rejected).collect()) == 5
    (listed,) = (q.text.replace("INSTALL delta; LOAD delta;", "") for q in queries
                 if q.language == "DuckDB")  # fmt: skip
    assert duckdb_connection().execute(listed).fetchall() == []
    faded = listed.replace("'distressed'", "'faded'")
    assert len(duckdb_connection().execute(faded).fetchall()) == 3


def test_the_least_sure_come_first(read: Callable[..., Report]) -> None:
    weakest = read().weakest
    # The others abstain on the length, alike: their ids decide.
    assert [card.garment.garment_id for card in weakest] == ["g2", "g1", "g3"]
    told = [(c.weakest.group, c.weakest.label, round(c.weakest.score or 0, 2)) for c in weakest]
    assert told == [("fit", "slim", 0.12), ("length", None, 0.31), ("length", None, 0.31)]
    assert weakest[0].image_id == "P2/a.png" and weakest[0].product_id == "P2"
    assert all(card.garment.crop is not None for card in weakest)
    assert all(card.garment.crop is None for card in read(with_pictures=False).weakest)


def test_what_people_corrected_is_on_the_page(
    spark: SparkSession, tables: Path, tmp_path: Path, read: Callable[..., Report]
) -> None:
    folder = tmp_path / "tags"
    shutil.copytree(tables, folder)
    said = [("P2", None, "wash", ["light"], "ann", MOMENT, None),
            ("P3", None, "category", ["none"], "ann", MOMENT, None)]  # fmt: skip
    frame = spark.createDataFrame(said, ATTRIBUTE_OVERRIDES)
    frame.write.format("delta").save(str(folder / "attribute_overrides"))
    file = tmp_path / "truth.csv"
    file.write_text(TRUTH)
    report = read(folder, truth=str(file))
    charts = {chart.title: dict(chart.counts) for chart in report.charts}
    assert charts["Wash"] == {"dark": 1, "light": 1} and report.garments == 2
    cards = {card.image_id: card.garments for card in report.tagged.cards}
    assert cards["P3/a.png"] == () and [g.reviewed for g in cards["P2/a.png"]] == [True]
    assert [g.reviewed for g in cards["P1/a.png"]] == [False]
    assert "corrected by a person" in Page(render_page(report)).text
    assert [card.garment.garment_id for card in report.weakest] == ["g1"], "the others were seen"
    # The truth judges the model, and not the people.
    assert report.quality is not None and report.quality == read(truth=str(file)).quality


def test_drift_is_of_the_last_run_that_has_one(
    spark: SparkSession, tables: Path, tmp_path: Path, read: Callable[..., Report]
) -> None:
    assert read().drift is None
    folder = tmp_path / "tags"
    shutil.copytree(tables, folder)
    runs = [
        {"run_id": f"r{day}", "run_no": day, "started_at": MOMENT.replace(day=day),
         "exit_code": 0, "kind": "refresh", "drift": drift}
        for day, drift in ((5, {"wash": 0.1}), (6, {"wash": 0.2}), *((d, {}) for d in range(7, 20)))
    ]  # fmt: skip
    rows = [tuple(run.get(column) for column in TAGGING_RUNS.names) for run in runs]
    frame = spark.createDataFrame(rows, TAGGING_RUNS, verifySchema=False)
    frame.write.format("delta").mode("append").save(str(folder / "tagging_runs"))
    report = read(folder)
    assert report.drift is not None and report.drift.run_id == "r6"
    assert report.runs[0].run_id == "r19"
    undone = {"run_id": "back", "run_no": 20, "started_at": MOMENT.replace(day=20), "exit_code": 0,
              "kind": "rollback", "restored_run": "r6"}  # fmt: skip
    rows = [tuple(undone.get(column) for column in TAGGING_RUNS.names)]
    frame = spark.createDataFrame(rows, TAGGING_RUNS, verifySchema=False)
    frame.write.format("delta").mode("append").save(str(folder / "tagging_runs"))
    drift = read(folder).drift
    assert drift is not None and drift.run_id == "r5", "the rows of r6 are gone"


def test_similar_products_stand_beside_one_another(
    spark: SparkSession, tables: Path, tmp_path: Path, read: Callable[..., Report]
) -> None:
    assert read().similar is None
    folder = tmp_path / "tags"
    shutil.copytree(tables, folder)
    rows = [("P1", f"P{rank + 1}", rank, 1 - rank / 10) for rank in range(1, 8)]
    # P9 has no garment, so it is not in the sample.
    rows += [("P3", "P1", 1, 0.5), ("P9", "P1", 1, 0.5)]
    frame = spark.createDataFrame(rows, SIMILAR_PRODUCTS)
    frame.write.format("delta").save(str(folder / "similar_products"))
    similar = read(folder).similar
    assert similar is not None
    found = {one.product.product_id: one for one in similar}
    assert set(found) == {"P1", "P3"}
    near = found["P1"].neighbours
    assert [card.product_id for card in near] == ["P2", "P3", "P4", "P5", "P6"]
    assert [card.cosine for card in near] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])
    assert [card.garment is not None for card in near] == [True, True, False, False, False]
    garment = found["P1"].product.garment
    assert garment is not None and garment.garment_id == "g1" and garment.crop is not None
    text = Page(render_page(read(folder))).text
    assert "cosine 0.90" in text and "jeans, dark, slim, faded" in text


TRUTH = """\
file_path,label
P1/a.png,jeans dark slim faded
catalog/P2/a.png,shorts light slim
P4/a.png,dark full
Q9/a.png,dark
"""
"""P1 and P2 were told dark, slim and faded; P4 has no garment, and Q9 is not in the tables."""


def test_labels_are_compared_with_the_truth(tmp_path: Path, read: Callable[..., Report]) -> None:
    file = tmp_path / "truth.csv"
    file.write_text(TRUTH)
    quality = read(truth=str(file)).quality
    assert quality is not None
    assert (quality.truth, quality.labelled, quality.found, quality.empty) == ("truth.csv", 4, 3, 1)
    assert quality.category_right == 0.5
    figures = {one.label: (one.precision, one.recall, one.support) for one in quality.labels}
    assert {label: told for label, told in figures.items() if told[2]} == {
        "dark": (0.5, 0.5, 2), "light": (0.0, 0.0, 1), "slim": (1.0, 1.0, 2),
        "full": (0.0, 0.0, 1), "faded": (0.5, 1.0, 1),
    }  # fmt: skip
    micro = quality.micro
    assert micro is not None and micro.support == 7
    assert (micro.precision, micro.recall) == pytest.approx((4 / 6, 4 / 7))
    assert quality.macro_f1 == pytest.approx((0.5 + 0 + 1 + 0 + 2 / 3) / 5)
    assert read().quality is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file_path,label\nQ9/b.png,dark\n", "none of its 1 images is in the tables"),
        ("file_path,label\nP1/a.png,drak\n", "unknown_label"),
        ("file_path,annotation_id,label\nP1/a.png,1,dark\nP1/a.png,2,dark\n", "several rows"),
    ],
)
def test_a_truth_that_cannot_be_compared_is_told(
    tmp_path: Path, read: Callable[..., Report], text: str, told: str
) -> None:
    file = tmp_path / "truth.csv"
    file.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read(truth=str(file))


def test_the_tables_tell_their_vocabulary() -> None:
    vocabulary = load_vocabulary(ROOT / "conf" / "vocabulary.yaml")
    told = vocabulary_of(schema_of_garments(vocabulary))
    assert told.labels == vocabulary.labels and told.categories == vocabulary.categories
    assert [(g.name, g.labels, g.exclusive) for g in told.groups] == [
        (g.name, g.labels, g.exclusive) for g in vocabulary.groups
    ]

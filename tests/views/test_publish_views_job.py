"""What publish_views.py is told, and what the other jobs make of it."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest
from few_rows import ROWS, fill, tagging_run
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from stub_tagger import VOCABULARY

from jeans_udf import tables
from jeans_udf.errors import ConfigError, JeansError, TableError
from jeans_udf.schemas import garments_schema
from jeans_udf.table_names import Output, parse_output
from jeans_udf.views.publishing import (
    Before,
    Publication,
    garments_of,
    publish_views,
    remembered,
)
from jobs import publish_views as job
from jobs import serve_sql

GARMENTS = garments_schema(VOCABULARY)
BEFORE = {"image_status": 1, "garments": 1}


@pytest.fixture(scope="module")
def output(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Output:
    output = parse_output(str(tmp_path_factory.mktemp("told") / "out"))
    fill(spark, output, tagging_runs=[
        tagging_run("killed", 1, 0, {}, exit_code=1, tables_before={}),
        tagging_run("of old", 2, 0, {}, tables_before=None),
        tagging_run("fine", 3, 0, {}, tables_before=BEFORE),
        tagging_run("fine too", 4, 0, {}, tables_before=BEFORE | {"garments": 99}),
    ])  # fmt: skip
    return output


def options(text: str) -> argparse.Namespace:
    return job.parser().parse_args(["--output", "x", *text.split(" ", 1)])


def test_a_run_before_which_nothing_was_noted(spark: SparkSession, output: Output) -> None:
    before = job.side_before(spark, output, options("--before-run fine"))
    assert before is not None and before.versions == BEFORE and before.garments == GARMENTS
    for run in ("killed", "of old"):
        with pytest.raises(ConfigError, match=f"--before-run {run}: this run changed no table"):
            job.side_before(spark, output, options(f"--before-run {run}"))
    with pytest.raises(ConfigError, match="0 runs are called so; known: killed, of old, fine"):
        job.side_before(spark, output, options("--before-run nobody"))
    with pytest.raises(ConfigError, match="can be read no more"):
        job.side_before(spark, output, options("--before-run fine too"))


def test_another_output_without_image_status(
    spark: SparkSession, output: Output, tmp_path: Path
) -> None:
    other = f"{tmp_path}/other"
    shutil.copytree(f"{output.text}/garments", f"{other}/garments")
    asked = options(f"--compare-with {other}")
    with pytest.raises(ConfigError, match=f"--compare-with {other}: {other}/image_status or"):
        job.side_before(spark, output, asked)
    shutil.copytree(f"{output.text}/image_status", f"{other}/image_status")
    assert job.side_before(spark, output, asked) is not None
    for file in Path(f"{other}/image_status").glob("*.parquet"):
        file.unlink()
    with pytest.raises(ConfigError, match="files of"):
        job.side_before(spark, output, asked)


def test_a_catalog_without_views_is_told(
    spark: SparkSession, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = AnalysisException("no!", errorClass="MISSING_CATALOG_ABILITY.VIEWS")

    def publish(*_: object) -> list[str]:
        raise error

    monkeypatch.setattr(job, "publish_views", publish)
    with pytest.raises(TableError, match="keeps no views .*--into SCHEMA"):
        job.published(spark, output, GARMENTS, Publication())
    error = AnalysisException("no!", errorClass="UNRESOLVED_COLUMN.WITH_SUGGESTION")
    with pytest.raises(AnalysisException):
        job.published(spark, output, GARMENTS, Publication())


def test_what_was_published_is_served_and_survives_a_hiccup(
    spark: SparkSession, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Before(output, BEFORE, "then and now", garments_of(spark, output))
    asked = Publication(least_confidence=0.8, before=before)
    publish_views(spark, output, GARMENTS, asked)
    served = serve_sql.name_tables(spark, output)
    assert {"garments", "image_detections", "low_confidence", "model_diff"} <= set(served)
    low = {row.garment_id for row in spark.table("low_confidence").collect()}
    assert low == {"a", "b", "c"}, "0.75 is below 0.8"
    assert spark.table("model_diff").count() == len(ROWS["image_status"])
    for name in served:
        spark.catalog.dropTempView(name)

    def read_table(*_: object) -> None:
        raise OSError("503 Slow Down: please reduce your request rate")

    with monkeypatch.context() as hiccup:
        hiccup.setattr(tables, "read_table", read_table)
        with pytest.raises(JeansError, match="just now .*503 Slow Down.*--without-diff"):
            remembered(spark, output)
        # Who asks for another side, or for none, need not read this one.
        assert remembered(spark, output, with_side=False) == Publication(least_confidence=0.8)
    assert remembered(spark, output) == asked

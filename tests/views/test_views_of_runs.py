"""What tagging runs leave of the views, and of the words that people write meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from catalog_life import Life
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from stub_tagger import VOCABULARY

from jeans_udf import tables, tagging
from jeans_udf.schemas import ATTRIBUTE_OVERRIDES, PRODUCT_IMAGES, garments_schema
from jeans_udf.views.publishing import Publication, create_views, publish_views, remembered

GARMENTS = garments_schema(VOCABULARY)


@pytest.fixture
def life(spark: SparkSession, tmp_path: Path) -> Life:
    life = Life(spark, tmp_path)
    (tmp_path / "calls").mkdir()
    tables.ensure_table(spark, life.source, PRODUCT_IMAGES, "images", hint="")
    life.put({"1": ("p", b"1 dark"), "2": ("q", b"0")})
    life.run("first")
    return life


def test_a_nightly_run_keeps_what_was_asked_for(spark: SparkSession, life: Life) -> None:
    file = Path(life.output.text) / "views.sql"
    assert "confidence < 0.5" in file.read_text()
    publish_views(spark, life.output, GARMENTS, Publication(least_confidence=0.875))
    life.put({"3": ("r", b"1 light")})
    life.run("second")
    assert remembered(spark, life.output).least_confidence == 0.875
    assert "confidence < 0.875" in file.read_text()


def test_corrections_survive_another_bundle(spark: SparkSession, life: Life) -> None:
    before = life.steps["first"].garments
    said = [("p", None, "wash", [], "ann", datetime(2026, 11, 1, tzinfo=UTC), "cannot tell")]
    frame = spark.createDataFrame(said, ATTRIBUTE_OVERRIDES)
    tables.append(frame, life.output.table("attribute_overrides"))
    after = life.run("second", model="m2").garments
    assert not set(before) & set(after), "another bundle, other garments"
    create_views(spark, life.output, GARMENTS, Publication(temporary=True))
    (row,) = spark.table("reviewed_garments").collect()
    assert (row.product_id, row.model_version) == ("p", "m2")
    assert (row.wash, row.wash_score, row.reviewed) == (None, None, True)


def test_a_catalog_without_views_is_told(
    spark: SparkSession, life: Life, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(condition: str) -> Any:
        def publish(*_: object) -> None:
            raise AnalysisException("the catalog says no", errorClass=condition)

        return publish

    monkeypatch.setattr(tagging, "publish_views", fail("MISSING_CATALOG_ABILITY.VIEWS"))
    assert life.run("second").run.exit_code == 0
    assert "publish_views.py --into SCHEMA" in capsys.readouterr().err
    # Anything else is ours to mend.
    monkeypatch.setattr(tagging, "publish_views", fail("UNRESOLVED_COLUMN.WITH_SUGGESTION"))
    with pytest.raises(AnalysisException):
        life.run("third")

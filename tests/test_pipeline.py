"""One catalog through its life: first run, crashes, changes, a lost checkpoint, other bundles.

The steps build on each other and run once; each test looks at what was noted of one of them. What
the tables should hold is worked out here, from the stub's rules, not by a second run.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from catalog_life import Life, check
from pyspark.sql import SparkSession
from stub_tagger import VOCABULARY

from jeans_udf import commit, pipeline, tables
from jeans_udf.errors import TableError
from jeans_udf.schemas import PRODUCT_IMAGES
from jeans_udf.sources import open_source
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.vocabulary import parse_vocabulary

FIRST = {
    "a": ("p1", b"2 dark"), "b": ("p1", b"1 dark"), "c's": ("p2", b"broken"), "d": ("p3", b"0"),
    "e": ("p4", b"1 light"), "none": ("p5", None),
}  # fmt: skip
AFTER = {
    "a": ("p1", b"1 light"), "c's": ("p2", b"broken"), "d": ("p3", b"1 dark"),
    "e": ("p9", b"1 light"), "f": (None, b"1 dark"), "none": ("p5", None),
}  # fmt: skip


@pytest.fixture(scope="module")
def life(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Life:
    life = Life(spark, tmp_path_factory.mktemp("life"))
    (life.folder / "calls").mkdir()
    tables.ensure_table(spark, life.source, PRODUCT_IMAGES, "images", hint="")
    life.put(dict(list(FIRST.items())[:4]))
    life.put(dict(list(FIRST.items())[4:]))
    life.crash("commit_garments", batch={"max_files": 1})
    life.run("first", batch={"max_files": 1})
    life.run("nothing new")

    life.sql("UPDATE {} SET image = CAST('2 light' AS binary) WHERE image_id = 'a'")
    life.sql("UPDATE {} SET image = CAST('1 light' AS binary) WHERE image_id = 'a'")
    life.sql("DELETE FROM {} WHERE image_id IN ('b', 'd')")
    life.put({"d": AFTER["d"], "f": AFTER["f"]})
    life.sql("UPDATE {} SET product_id = 'p9', title = 'E' WHERE image_id = 'e'")
    for at in ("commit_garments", "commit_status", "delete"):
        life.crash(at)
    life.run("changes")

    shutil.rmtree(life.folder / "out" / "_checkpoints")
    life.sql("DELETE FROM {} WHERE image_id = 'f'")
    life.run("lost checkpoint")
    life.run("other bundle", model="m2")
    life.run("back", model="m1")
    return life


def test_first_run_in_bounded_batches_survives_a_crash(life: Life) -> None:
    step = life.steps["first"]
    check(step, FIRST, "m1")
    # The crashed run had tagged its batch already: its staged rows were committed, not redone.
    assert step.looked_at == sorted(FIRST)
    assert step.versions[0] == 2  # one commit a file of the source
    assert (step.run.images, step.run.garments, step.run.deleted) == (6, 4, 0)
    assert step.run.statuses == {"tagged": 3, "no_garment": 1, "rejected": 2}
    assert step.run.reasons == {"not_an_image": 1, "null_image": 1}
    assert step.run.stage_seconds["detect"] == pytest.approx(6 * 0.2)


def test_a_run_with_nothing_new_touches_nothing(life: Life) -> None:
    step = life.steps["nothing new"]
    assert step.versions == life.steps["first"].versions
    assert (step.looked_at, step.run.images, step.run.source_version_from) == ([], 0, None)


def test_changes_are_followed_through_crashes_between_all_commits(life: Life) -> None:
    step = life.steps["changes"]
    check(step, AFTER, "m1")
    assert step.looked_at == ["a", "d", "f"]
    assert [b - a for a, b in zip(life.steps["first"].versions, step.versions, strict=True)] == [
        1, 1, 1,
    ]  # fmt: skip
    assert (step.run.source_version_from, step.run.source_version_to) == (3, 7)


def test_a_lost_checkpoint_repeats_nothing_and_misses_no_delete(life: Life) -> None:
    step = life.steps["lost checkpoint"]
    check(step, {key: image for key, image in AFTER.items() if key != "f"}, "m1")
    assert (step.looked_at, step.run.deleted) == ([], 1)


@pytest.mark.parametrize(("name", "model"), [("other bundle", "m2"), ("back", "m1")])
def test_another_bundle_tags_all_again(life: Life, name: str, model: str) -> None:
    step = life.steps[name]
    check(step, {key: image for key, image in AFTER.items() if key != "f"}, model)
    assert step.looked_at == ["a", "c's", "d", "e", "none"]
    # The stub's detector is the same, so that what it has seen is not detected again.
    assert step.run.recalled == 3


def test_nothing_is_left_lying_about(life: Life) -> None:
    out = life.folder / "out"
    assert not any(path.is_file() for path in (out / "_staging").rglob("*"))
    assert len(list((out / "_checkpoints").iterdir())) == 1


def test_output_tables_are_plain_and_commented(life: Life) -> None:
    catalog = commit.catalog_of(parse_output(f"{life.folder}/out"))
    for table in (catalog.image_status, catalog.garments, catalog.garment_crops):
        tables.require_plain_reader(life.spark, table)
        assert tables.has_change_feed(life.spark, table)
        columns = tables.read_table(life.spark, table).schema
        assert all(column.metadata.get("comment") for column in columns)


def test_a_table_missing_beside_its_status_is_named(life: Life) -> None:
    out = life.folder / "out"
    (out / "garments").rename(life.folder / "away")
    try:
        with pytest.raises(TableError, match="out/garments: is missing.*drop image_status"):
            pipeline.open_catalog(life.spark, parse_output(str(out)), VOCABULARY)
    finally:
        (life.folder / "away").rename(out / "garments")


def test_another_vocabulary_needs_another_output(life: Life) -> None:
    words = VOCABULARY.as_dict()
    words["groups"]["fit"] = words["groups"].pop("wash") | {"labels": ["slim", "wide"]}
    other = parse_vocabulary(words, "the test")
    with pytest.raises(TableError, match="fit .string. is missing.*wash is not known.*--output"):
        pipeline.open_catalog(life.spark, parse_output(f"{life.folder}/out"), other)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("image_id string, image binary", "column product_id .string. is missing"),
        ("image_id string, product_id string", "columns image and path are missing"),
        ("image_id string, product_id string, image string", "image is string, wanted binary"),
    ],
)
def test_sources_that_cannot_be_read(
    spark: SparkSession, tmp_path: Path, columns: str, message: str
) -> None:
    source = parse_table(str(tmp_path / "source"))
    spark.sql(f"CREATE TABLE {source.sql} ({columns}) USING delta")
    with pytest.raises(TableError, match=message):
        open_source(spark, source)

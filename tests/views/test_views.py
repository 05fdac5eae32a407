"""The analysts' views over a few rows, as temporary views of a directory and in a schema."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from few_rows import ROWS, SCHEMAS, fill, garment, override, schemas_of, status
from PIL import Image
from pyspark.sql import SparkSession
from stub_tagger import VOCABULARY

from jeans_udf import tables
from jeans_udf.drawing.scene import draw_picture
from jeans_udf.errors import TableError
from jeans_udf.images import perceptual_hash
from jeans_udf.schemas import garments_schema
from jeans_udf.table_names import Output, parse_output
from jeans_udf.views.groups import groups_of
from jeans_udf.views.literals import shared_masks
from jeans_udf.views.publishing import (
    SQL,
    VIEWS,
    Before,
    Publication,
    create_views,
    garments_of,
    publish_views,
    remembered,
)
from jeans_udf.vocabulary import parse_vocabulary

GARMENTS = garments_schema(VOCABULARY)


@pytest.fixture(scope="module")
def output(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Output:
    output = parse_output(str(tmp_path_factory.mktemp("views") / "it's out"))
    fill(spark, output)
    return output


@pytest.fixture(scope="module")
def corrected(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Output:
    """The same, after people had their say."""
    output = parse_output(str(tmp_path_factory.mktemp("corrected") / "out"))
    fill(spark, output, attribute_overrides=[
        override("wash", ["dark"], day=1, image_id="2"),
        override("wash", [], day=2, image_id="2"),  # the later word: no answer
        override("details", ["raw_hem", "cuffed"]),
        override("category", ["none"], product_id="r"),
        override("wash", ["light"], product_id="of another time"),
    ])  # fmt: skip
    return output


def rows(spark: SparkSession, view: str, key: str) -> dict[Any, Any]:
    found = spark.table(view).collect()
    by_key = {row[key]: row for row in found}
    assert len(by_key) == len(found)
    return by_key


def check(spark: SparkSession, name_of: Any) -> None:
    products = rows(spark, name_of("product_attributes"), "product_id")
    assert set(products) == {"p", "q", "r"}
    best = products["p"]
    # b and c score alike: the lesser id is taken, on every run.
    assert (best.images, best.garments, best.garment_id) == (2, 3, "b")
    assert (best.image_id, best.wash, best.reviewed) == ("2", "light", False)
    nothing = products["q"]
    assert (nothing.images, nothing.garments, nothing.wash, nothing.reviewed) == (1, 0, None, False)
    columns = spark.table(name_of("product_attributes")).schema
    assert columns.names[-6:] == [
        "score", "wash", "wash_score", "details", "attributes", "reviewed"
    ]  # fmt: skip
    assert columns["wash"].metadata["comment"].startswith("Best garment: One of: dark, light")
    rejected = spark.table(name_of("rejected_images")).collect()
    assert [(r.image_id, r.product_id, r.reason) for r in rejected] == [("3", "q", "empty")]
    for view in VIEWS:
        fields = spark.table(name_of(view)).schema
        assert all(field.metadata.get("comment") for field in fields), view


def test_views_of_a_directory_can_be_pasted(spark: SparkSession, output: Output) -> None:
    assert publish_views(spark, output, GARMENTS) == list(VIEWS)
    file = Path(output.text) / "views.sql"
    written = file.stat().st_mtime_ns
    publish_views(spark, output, GARMENTS)
    assert file.stat().st_mtime_ns == written, "nothing to write: nothing is written"
    for view in VIEWS:
        spark.catalog.dropTempView(view)
    lines = [line for line in file.read_text().splitlines() if not line.startswith("--")]
    for statement in "\n".join(lines).split(";\n"):
        if statement.strip():
            spark.sql(statement)
    check(spark, lambda view: view)


@pytest.mark.parametrize("view", [*VIEWS, "model_diff"])
def test_no_text_of_a_view_doubles_a_quote(view: str) -> None:
    # Spark 4.0 reads '' in a comment as the text's end.
    text = (SQL / f"{view}.sql").read_text(encoding="utf-8")
    assert not re.search(r"\w''|''\w", text)


@pytest.fixture
def schemas(spark: SparkSession) -> Iterator[Output]:
    for name in ("views_test", "views_elsewhere"):
        spark.sql(f"CREATE SCHEMA {name}")
    try:
        yield parse_output("views_test")
    finally:
        for name in ("views_test", "views_elsewhere"):
            spark.sql(f"DROP SCHEMA {name} CASCADE")


def test_views_in_schemas(spark: SparkSession, schemas: Output, output: Output) -> None:
    fill(spark, schemas)
    publish_views(spark, schemas, garments_of(spark, schemas))
    check(spark, lambda view: f"views_test.{view}")
    spark.sql("DROP VIEW views_test.rejected_images")
    publish_views(spark, schemas, garments_of(spark, schemas))
    check(spark, lambda view: f"views_test.{view}")
    # A directory's tables under names of a catalog, of three parts.
    into = Publication(into=parse_output("spark_catalog.views_elsewhere"))
    assert publish_views(spark, output, GARMENTS, into)[0].endswith(
        "views_elsewhere.reviewed_garments"
    )
    check(spark, lambda view: f"spark_catalog.views_elsewhere.{view}")


def test_peoples_words_win(spark: SparkSession, corrected: Output) -> None:
    create_views(spark, corrected, GARMENTS)
    garments = rows(spark, "reviewed_garments", "garment_id")
    assert set(garments) == {"a", "b", "c", "d"}, "people said that e is none"
    b = garments["b"]
    assert (b.wash, b.wash_score, b.reviewed) == (None, None, True)
    assert b.details == ["raw_hem", "cuffed"] and b.attributes == ["raw_hem", "cuffed"]
    c = garments["c"]
    assert (c.wash, c.wash_score) == ("dark", 0.25)
    assert c.attributes == ["dark", "raw_hem", "cuffed"] and c.reviewed
    assert not garments["d"].reviewed
    crops = rows(spark, "garments_with_crops", "garment_id")
    assert set(crops) == set(garments) and crops["b"].wash is None
    products = rows(spark, "product_attributes", "product_id")
    assert products["p"].reviewed and products["r"].garment_id is None
    assert set(rows(spark, "low_confidence", "garment_id")) == set(), "people saw them"
    (ignored,) = spark.table("ignored_overrides").collect()
    assert (ignored.product_id, ignored.reason) == (
        "of another time", "product_id: no image of it"
    )  # fmt: skip


def test_words_that_make_no_sense_are_shown_and_not_followed(
    spark: SparkSession, tmp_path: Path
) -> None:
    output = parse_output(f"{tmp_path}/out")
    sense = override("wash", ["light"], day=1)
    nonsense: dict[str, list[Any]] = {
        "attribute: wanted": [override("colour", ["dark"])],
        "null": [override("wash", [], day=2) | {"labels": None}],
        "wanted one": [override("wash", ["dark", "light"], day=3)],
        "wanted a category": [override("category", [])],
        "not of the attribute": [
            override("wash", ["drak"], day=4), override("category", [None]),
            override("details", ["cuffed", "dark"]), override("category", ["wash"], day=5),
        ],
        "no image of it": [override("wash", ["dark"], product_id="P"),
                           override("wash", ["dark"], product_id="P", image_id="1")],
        "no such image": [override("wash", ["dark"], image_id="9"),
                          override("wash", ["dark"], image_id="5")],
    }  # fmt: skip
    said = [sense, *(row for part in nonsense.values() for row in part)]
    fill(spark, output, attribute_overrides=said)
    create_views(spark, output, GARMENTS)
    shown = [row.reason for row in spark.table("ignored_overrides").collect()]
    assert {told: sum(told in reason for reason in shown) for told in nonsense} == {
        told: len(part) for told, part in nonsense.items()
    }  # fmt: skip
    garments = rows(spark, "reviewed_garments", "garment_id")
    # The earlier word that makes sense still counts, and no garment is lost.
    assert garments["a"].wash == "light" and garments["a"].category == "jeans"
    assert garments["a"].details == ["cuffed"] and set(garments) == {"a", "b", "c", "d", "e"}


def test_a_group_says_nothing_of_categories_that_it_does_not_apply_to(
    spark: SparkSession, tmp_path: Path
) -> None:
    words = VOCABULARY.as_dict()
    for group in words["groups"].values():
        group["applies_to"] = ["jeans"]
    limited = garments_schema(parse_vocabulary(words, "the test"))
    assert groups_of(limited).applies_to == {"wash": ("jeans",), "details": ("jeans",)}
    output = parse_output(f"{tmp_path}/out")
    old = garment("f", "6", "s", 0.75, category="shorts", wash="dark", wash_score=0.5,
                  attributes=["dark"])  # fmt: skip
    fill(spark, output, schemas_of(limited), garments=[*ROWS["garments"], old],
         attribute_overrides=[
        override("category", ["shorts"], image_id="1"), override("wash", ["dark"], product_id="r"),
    ])  # fmt: skip
    create_views(spark, output, limited)
    garments = rows(spark, "reviewed_garments", "garment_id")
    a = garments["a"]
    assert (a.category, a.score, a.model_score) == ("shorts", 1.0, 0.5)
    assert (a.wash, a.wash_score, a.details, a.attributes) == (None, None, [], [])
    e = garments["e"]
    assert (e.category, e.wash, e.wash_score, e.attributes) == ("shorts", None, None, [])
    assert a.reviewed and not e.reviewed, "a wash of shorts is no word that counts"
    # Nobody spoke of f: what an earlier vocabulary let the model say of shorts still stands.
    f = garments["f"]
    assert (f.wash, f.wash_score, f.attributes, f.reviewed) == ("dark", 0.5, ["dark"], False)
    assert garments["b"].wash == "light"
    found = spark.table("attribute_coverage").collect()
    coverage = {(row.category, row.attribute) for row in found}
    assert coverage == {("jeans", "category"), ("shorts", "category"), ("jeans", "wash"),
                        ("jeans", "details")}  # fmt: skip


def test_the_best_garment_is_the_models_where_a_person_named_all(
    spark: SparkSession, tmp_path: Path
) -> None:
    output = parse_output(f"{tmp_path}/out")
    found = [garment("a", "1", "p", 0.25), garment("z", "1", "p", 0.75, garment_no=1)]
    fill(spark, output, garments=found, attribute_overrides=[override("category", ["shorts"])])
    create_views(spark, output, GARMENTS)
    best = rows(spark, "product_attributes", "product_id")["p"]
    assert (best.garment_id, best.category, best.score) == ("z", "shorts", 1.0)


def test_overrides_survive_another_bundle(spark: SparkSession, tmp_path: Path) -> None:
    output = parse_output(f"{tmp_path}/out")
    fill(spark, output, attribute_overrides=[override("wash", ["light"])],
         garments=[garment("new id", "1", "p", 0.9, wash="dark", model_version="m2")])  # fmt: skip
    create_views(spark, output, GARMENTS)
    row = rows(spark, "reviewed_garments", "garment_id")["new id"]
    assert (row.wash, row.wash_score) == ("light", 1.0)


def test_coverage_confidence_and_crops(spark: SparkSession, output: Output) -> None:
    create_views(spark, output, GARMENTS, Publication(least_confidence=0.6))
    coverage = {(r.category, r.attribute): (r.garments, r.answered, r.share, r.mean_score)
                for r in spark.table("attribute_coverage").collect()}  # fmt: skip
    assert coverage[("jeans", "wash")] == (4, 4, 1.0, 0.75)
    assert coverage[("jeans", "details")] == (4, 1, 0.25, None)
    assert coverage[("shorts", "wash")] == (1, 0, 0.0, None)
    assert coverage[("shorts", "category")] == (1, 1, 1.0, 0.875)
    low = rows(spark, "low_confidence", "garment_id")
    assert {key: (row.confidence, row.weakest) for key, row in low.items()} == {
        "a": (0.5, "category"), "c": (0.25, "wash"),
    }  # fmt: skip
    crops = rows(spark, "garments_with_crops", "garment_id")
    assert (bytes(crops["a"].crop), crops["a"].crop_width) == (b"png", 3)
    assert crops["b"].crop is None and len(crops) == 5


def test_trends_and_near_duplicates(spark: SparkSession, output: Output) -> None:
    create_views(spark, output, GARMENTS)
    trends = {(r.run_no, r.attribute, r.label): (r.garments, r.share)
              for r in spark.table("attribute_trends").collect()}  # fmt: skip
    assert trends == {
        (1, "category", "jeans"): (3, 0.75), (1, "category", "shorts"): (1, 0.25),
        (1, "wash", "dark"): (3, 0.75), (1, "wash", None): (1, 0.25),
        # 3 and 4 were rolled back by 5, 7 failed, and 9 is not over.
        (6, "wash", "dark"): (2, 1.0),
    }  # fmt: skip
    pairs = {(r.image_id, r.other_image_id): (r.product_id, r.distance, r.same_bytes)
             for r in spark.table("near_duplicate_images").collect()}  # fmt: skip
    # Beside the first of equal ones only: 4 looks as 1 does, and is not paired with 2 again.
    assert pairs == {("1", "2"): ("p", 2, False), ("1", "4"): ("p", 0, True)}


def flipped(phash: int, *bits: int) -> int:
    """The hash with some of its 64 bits the other way, as int64."""
    for bit in bits:
        phash ^= 1 << bit
    return (phash + 2**63) % 2**64 - 2**63


@pytest.mark.parametrize("bits", [0, 3, 4])
def test_hashes_of_few_differences_agree_under_a_mask(bits: int) -> None:
    masks = shared_masks(bits)
    assert len(masks) == len(set(masks)) == (bits + 2) * (bits + 1) // 2
    for phash in (-(2**62) - 12345, 2**61 + 54321):
        for places in combinations(range(0, 64, 5), bits):
            other = flipped(phash, *places)
            assert any(phash & mask == other & mask for mask in masks), places
    assert all(-(2**63) <= mask < 2**63 for mask in masks)


def copies(seed: int) -> dict[str, np.ndarray]:
    """A drawn picture, and what a shop's resizing and compressing make of it."""
    whole = draw_picture(np.random.default_rng(seed), kind="jeans", size=(360, 480)).image
    found = {f"{seed} as drawn": whole}
    for side, quality in product((1.0, 0.6, 0.25), (90, 50)):
        image = Image.fromarray(whole)
        size = (round(image.width * side), round(image.height * side))
        buffer = io.BytesIO()
        image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=quality)
        found[f"{seed} by {side}, {quality}"] = np.asarray(Image.open(buffer).convert("RGB"))
    return found


def test_what_looks_nearly_the_same(spark: SparkSession, tmp_path: Path) -> None:
    hashes = {}
    # Negative and positive; four bits in four quarters, side by side, and with the sign.
    for name, phash in (("minus", -(2**62) - 12345), ("plus", 2**61 + 54321)):
        hashes |= {
            f"{name} 0": phash,
            f"{name} 3": flipped(phash, 0, 20, 63),
            f"{name} 4": flipped(phash, 5, 21, 37, 53),
            f"{name} 4 in a row": flipped(phash, 60, 61, 62, 63),
            f"{name} 5": flipped(phash, 8, 24, 33, 40, 56),
        }
    for seed in (1, 5, 12):
        hashes |= {name: perceptual_hash(pixels) for name, pixels in copies(seed).items()}
    wanted = {}
    alike = [[name for name in hashes if hashes[name] == one] for one in set(hashes.values())]
    for names in alike:
        wanted |= {(min(names), name): 0 for name in names if name != min(names)}
    for one, other in combinations(sorted(map(min, alike)), 2):
        apart = ((hashes[one] ^ hashes[other]) & (2**64 - 1)).bit_count()
        if apart <= 4:
            wanted[one, other] = apart
    assert set(wanted.values()) >= {0, 2, 3, 4}
    output = parse_output(f"{tmp_path}/out")
    fill(
        spark, output, garments=[],
        image_status=[status(name, "p", 0, name) for name in hashes],
        image_detections=[{"image_id": name, "image_sha256": name, "phash": phash}
                          for name, phash in hashes.items()],
    )  # fmt: skip
    create_views(spark, output, GARMENTS)
    found = {(row.image_id, row.other_image_id): row.distance
             for row in spark.table("near_duplicate_images").collect()}  # fmt: skip
    assert found == wanted
    assert found["minus 0", "minus 3"] == 3 and found["plus 0", "plus 4"] == 4
    assert ("plus 0", "plus 5") not in found
    # Every copy is found, straight or beside its first, and no other picture.
    groups = {name: name for name in hashes}
    for one, other in found:
        old, new = groups[other], groups[one]
        groups = {name: new if group == old else group for name, group in groups.items()}
    for seed in (1, 5, 12):
        of_one = {group for name, group in groups.items() if name.startswith(f"{seed} ")}
        assert len(of_one) == 1, f"{seed} and its copies"
    assert len(set(groups.values())) == 3 + 4, "5 bits away stands alone"


def test_two_bundles_side_by_side(spark: SparkSession, output: Output, tmp_path: Path) -> None:
    other = parse_output(f"{tmp_path}/other")
    changed = [dict(row) for row in ROWS["garments"]]
    changed[2] |= {"wash": "dark", "wash_score": 0.5}
    changed[0] |= {"details": []}
    fill(spark, other, garments=changed, image_status=ROWS["image_status"][:4])
    create_views(spark, output, GARMENTS, Publication(before=Before(other, told="that and this")))
    diff = rows(spark, "model_diff", "image_id")
    assert set(diff) == set("12345")
    two = diff["2"]
    assert (two.wash_before, two.wash_after, two.changed) == ("dark", "light", True)
    assert (two.score_before, two.garments_before, two.garments_after) == (0.75, 1, 1)
    # Of 1 the second garment differs.
    assert [diff[key].changed for key in "1345"] == [True, False, False, True]
    assert diff["1"].wash_before == diff["1"].wash_after == "dark"
    assert (diff["5"].garments_before, diff["5"].category_after) == (None, "shorts")
    assert (diff["5"].status_before, diff["5"].status_after) == (None, "tagged")


def test_another_output_may_lack_a_group(
    spark: SparkSession, output: Output, tmp_path: Path
) -> None:
    words = VOCABULARY.as_dict()
    del words["groups"]["wash"]
    schema = garments_schema(parse_vocabulary(words, "the test"))
    other = parse_output(f"{tmp_path}/other")
    fill(spark, other, schemas_of(schema))
    before = Before(other, told="a\\b's and this", garments=schema)
    create_views(spark, output, GARMENTS, Publication(before=before))
    diff = rows(spark, "model_diff", "image_id")
    assert (diff["2"].wash_before, diff["2"].wash_after) == (None, "light")
    assert not any(row.changed for row in diff.values()), "of what both have nothing differs"


def test_one_output_at_two_moments(spark: SparkSession, tmp_path: Path) -> None:
    output = parse_output(f"{tmp_path}/out")
    fill(spark, output)
    versions = {name: tables.table_version(spark, output.table(name)) for name in SCHEMAS}
    spark.sql(f"UPDATE {output.table('garments').sql} SET wash = 'dark' WHERE garment_id = 'b'")
    before = Before(output, versions, "before run r, and now")
    create_views(spark, output, GARMENTS, Publication(before=before))
    changed = spark.table("model_diff").where("changed").collect()
    assert [(row.image_id, row.wash_before, row.wash_after) for row in changed] == [
        ("2", "light", "dark")
    ]


def test_what_was_asked_for_is_kept_by_the_next_run(
    spark: SparkSession, schemas: Output, tmp_path: Path
) -> None:
    other = parse_output(f"{tmp_path}/other")
    fill(spark, schemas)
    fill(spark, other)
    versions = {name: tables.table_version(spark, schemas.table(name)) for name in SCHEMAS}
    spark.sql(f"UPDATE {schemas.table('garments').sql} SET wash = 'dark' WHERE garment_id = 'b'")
    assert remembered(spark, schemas) == Publication()
    before = Before(schemas, versions, "then and now", garments_of(spark, schemas))
    publish_views(spark, schemas, GARMENTS, Publication(least_confidence=0.8, before=before))
    again = remembered(spark, schemas)
    assert (again.least_confidence, again.before) == (0.8, before)
    assert "views_test.model_diff" in publish_views(spark, schemas, GARMENTS, again)
    changed = spark.table("views_test.model_diff").where("changed").collect()
    assert [(row.image_id, row.wash_before) for row in changed] == [("2", "light")]
    low = {row.garment_id for row in spark.table("views_test.low_confidence").collect()}
    assert low == {"a", "b", "c"}
    # The same of a directory, until what it was compared with is gone.
    gone = parse_output(f"{tmp_path}/gone")
    fill(spark, gone)
    asked = Publication(before=Before(gone, told="gone", garments=garments_of(spark, gone)))
    publish_views(spark, other, GARMENTS, asked)
    assert remembered(spark, other) == asked
    shutil.rmtree(gone.text)
    assert remembered(spark, other) == Publication()
    publish_views(spark, schemas, GARMENTS, Publication())
    assert not spark.catalog.tableExists("views_test.model_diff"), "nobody asks for it any more"


def test_comments_follow_the_vocabulary(spark: SparkSession, tmp_path: Path) -> None:
    output = parse_output(f"{tmp_path}/out")
    fill(spark, output)
    words = VOCABULARY.as_dict()
    words["groups"]["wash"]["labels"] = ["dark", "it_s_new"]
    later = garments_schema(parse_vocabulary(words, "the test"))
    table = output.table("garments")
    version = tables.table_version(spark, table)
    tables.renew_comments(spark, table, later)
    assert garments_of(spark, output) == later
    assert groups_of(garments_of(spark, output)).labels["wash"] == ("dark", "it_s_new")
    tables.renew_comments(spark, table, later)
    assert tables.table_version(spark, table) == version + 1, "nothing to say: nothing is written"


def test_nothing_was_tagged_there(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="run tag_catalog.py on this output first"):
        garments_of(spark, parse_output(f"{tmp_path}/nothing"))

"""Garments for people to look at go out as a dataset that the training jobs read."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pyspark.sql import SparkSession

from jeans_udf import schemas, tables
from jeans_udf.config import ImageLimits
from jeans_udf.geometry import encode_rle
from jeans_udf.images import sha256_hex
from jeans_udf.labels.dropping import load_labels
from jeans_udf.review.export import Exported, export, file_name, wanted_images
from jeans_udf.table_names import Output, parse_output, parse_table
from jeans_udf.training.coco import read_coco
from jeans_udf.views.groups import groups_of
from jeans_udf.views.publishing import Publication, create_views, publish_views
from jeans_udf.vocabulary import parse_vocabulary
from jobs import export_review

VOCABULARY = parse_vocabulary(
    {"categories": ["jeans", "shorts"], "groups": {
        "wash": {"exclusive": True, "labels": ["dark", "light"], "applies_to": ["jeans"]},
        "details": {"exclusive": False, "labels": ["raw_hem", "cuffed"]},
    }}, "the test",
)  # fmt: skip
GARMENTS = schemas.garments_schema(VOCABULARY)
IMAGES = ("sure", "unsure", "../corrected", "none here", "changed", "no mask", "gone", "relabelled",
          "old shorts")  # fmt: skip


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def frame(spark: SparkSession, rows: list[dict[str, Any]], schema: Any) -> Any:
    return spark.createDataFrame([tuple(r.get(n) for n in schema.names) for r in rows], schema)


@pytest.fixture
def output(spark: SparkSession, tmp_path: Path) -> Output:
    output = parse_output(f"{tmp_path}/out")
    mask = np.zeros((20, 30), dtype=bool)
    mask[5:15, 10:20] = True
    counts = encode_rle(mask)["counts"]
    garments = [
        {"garment_id": key, "image_id": key, "product_id": key, "garment_no": 0,
         "category": "shorts" if key == "old shorts" else "jeans",
         "score": 0.3 if key in ("unsure", "changed", "old shorts") else 0.9,
         "wash": "dark", "wash_score": 0.9, "details": ["cuffed", "raw_hem"], "attributes": [],
         "mask": None if key == "no mask" else (20, 30, counts)}
        for key in IMAGES
    ]  # fmt: skip
    status = [
        {"image_id": key, "product_id": key, "status": "tagged", "garments": 1, "width": 30,
         "height": 20, "image_sha256": sha256_hex(picture(no))} for no, key in enumerate(IMAGES)
    ]  # fmt: skip
    said = [
        {"product_id": key, "attribute": attribute, "labels": labels, "changed_by": "ann",
         "changed_at": datetime(2026, 11, 1, tzinfo=UTC)}
        for key, attribute, labels in (("relabelled", "wash", ["light"]),
                                       ("sure", "wash", ["drak"]),
                                       ("gone", "wash", ["light"]),
                                       ("of another time", "wash", ["light"]),
                                       ("../corrected", "wash", ["light"]),
                                       ("../corrected", "category", ["shorts"]),
                                       ("none here", "category", ["none"]),
                                       ("no mask", "wash", []))
    ]  # fmt: skip
    for name, schema, rows in (
        ("image_status", schemas.IMAGE_STATUS, status), ("garments", GARMENTS, garments),
        ("attribute_overrides", schemas.ATTRIBUTE_OVERRIDES, said),
        ("garment_crops", schemas.GARMENT_CROPS, []), ("tagging_runs", schemas.TAGGING_RUNS, []),
        ("image_detections", schemas.IMAGE_DETECTIONS, []),
    ):  # fmt: skip
        tables.ensure_table(spark, output.table(name), schema, name, hint="")
        if rows:
            tables.append(frame(spark, rows, schema).coalesce(1), output.table(name))
    return output


def pictures() -> list[tuple[str, bytes]]:
    """What the source holds now."""
    return [(key, picture(no if key != "changed" else 99)) for no, key in enumerate(IMAGES)
            if key != "gone"]  # fmt: skip


def run(spark: SparkSession, output: Output, folder: Path, limit: int = 100) -> Exported:
    create_views(spark, output, GARMENTS, Publication(temporary=True, least_confidence=0.5))
    source = spark.createDataFrame(pictures(), "image_id string, image binary")
    wanted = wanted_images(
        tables.read_table(spark, output.table("image_status")), spark.table("reviewed_garments"),
        spark.table("low_confidence"),
        tables.read_table(spark, output.table("attribute_overrides")),
        spark.table("ignored_overrides"), limit,
    )  # fmt: skip
    return export(source, wanted, groups_of(GARMENTS), folder, ImageLimits())


def test_a_dataset_for_training(spark: SparkSession, output: Output, tmp_path: Path) -> None:
    folder = tmp_path / "review"
    done = run(spark, output, folder)
    assert (done.photos, done.garments, done.corrected) == (5, 4, 2)
    assert (done.without_mask, done.changed) == (1, ["changed", "gone"])
    photos = read_coco(folder / "photos", folder / "instances.json", list(VOCABULARY.categories))
    by_name = {photo.path.name.split("-")[0]: photo for photo in photos}
    # Of "sure" a word was said that makes no sense: nobody corrected it.
    assert set(by_name) == {"unsure", "corrected", "none_here", "relabelled", "old_shorts"}
    assert by_name["none_here"].is_negative
    (mask,) = by_name["corrected"].masks()
    assert mask.sum() == 100 and mask[5:15, 10:20].all()
    assert (folder / "photos" / by_name["unsure"].path.name).read_bytes() == picture(1)
    with (folder / "attributes.csv").open() as file:
        rows = {row["file_path"].split("-")[0]: row for row in csv.DictReader(file)}
    assert rows["corrected"] | {"file_path": ""} == {
        "file_path": "", "annotation_id": rows["corrected"]["annotation_id"], "category": "shorts",
        "wash": "", "details": "cuffed;raw_hem",
    }  # fmt: skip
    assert rows["relabelled"]["wash"] == "light"
    # As the training jobs read it: a wash of shorts would have been refused, also one that an
    # earlier vocabulary has left in the table.
    assert (rows["old_shorts"]["wash"], rows["old_shorts"]["details"]) == ("", "cuffed;raw_hem")
    assert len(load_labels(folder / "attributes.csv", VOCABULARY).rows) == 4
    annotations = json.loads((folder / "instances.json").read_text())["annotations"]
    assert {str(one["id"]) for one in annotations} == {r["annotation_id"] for r in rows.values()}
    reviewed = sorted(one["attributes"]["reviewed"] for one in annotations)
    assert reviewed == [False, False, True, True]


def test_what_people_corrected_goes_first(
    spark: SparkSession, output: Output, tmp_path: Path
) -> None:
    done = run(spark, output, tmp_path / "review", limit=5)
    assert (done.photos, done.corrected, done.changed) == (3, 2, ["gone"])


def test_the_threshold_is_the_published_one(
    spark: SparkSession, output: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(export_review, "build_session", lambda _: spark)
    monkeypatch.setattr(export_review, "stop_session", lambda _: None)
    source = parse_table(f"{tmp_path}/source")
    frame = spark.createDataFrame(pictures(), "image_id string, image binary")
    tables.append(frame.selectExpr("image_id", "image_id AS product_id", "image"), source)
    publish_views(spark, output, GARMENTS, Publication(least_confidence=0.2))
    given = ["--source", source.text, "--output", output.text]
    assert export_review.main([*given, "--to", f"{tmp_path}/published"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("3 photos with 2 garments, 2 of them corrected"), "0.3 is sure enough"
    assert "left out: photos with 1 garments without a mask" in told
    assert "default one does" in told, "what to do"
    assert "not followed: 2 rows of attribute_overrides" in told
    own = ["--to", f"{tmp_path}/own", "--least-confidence", "0.5"]
    assert export_review.main([*given, *own]) == 0
    assert capsys.readouterr().out.startswith("5 photos with 4 garments")


@pytest.mark.parametrize(
    ("image_id", "stem"),
    [("a/b.jpg", "b"), ("../../etc/passwd", "passwd"), ("ü ñ.jpg", "_"), ("", "image"),
     ("x" * 300, "x" * 80)],
)  # fmt: skip
def test_names_of_photos(image_id: str, stem: str) -> None:
    name = file_name(image_id, picture(1))
    assert name.endswith(".png") and "/" not in name
    assert name.rpartition("-")[0] == stem

"""What a batch of changes asks for, case by case."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from jeans_udf.changes import decide_actions, newest_changes, require_key, sum_up
from jeans_udf.errors import TableError

CHANGE = (
    "image_id string, product_id string, image binary, path string, _change_type string, "
    "_commit_version bigint"
)
STATUS = (
    "image_id string, product_id string, image_sha256 string, model_version string, "
    "reason string, status string, run_id string"
)
OLD = hashlib.sha256(b"old").hexdigest()


def planned(spark: SparkSession, rows: list[tuple[Any, ...]]) -> DataFrame:
    status = [
        (image_id, "p", OLD, "m1", None)
        for image_id in ("same", "moved", "new bytes", "gone", "there and back", "overwritten")
    ]
    status += [("other model", "p", OLD, "m0", None), ("path", "p", OLD, "m1", None),
               ("blank", "p", None, "m1", "null_image"), ("was missing", "p", None, "m1",
                                                          "missing_file")]  # fmt: skip
    known = spark.createDataFrame([(*row, "tagged", "r1") for row in status], STATUS)
    return decide_actions(newest_changes(spark.createDataFrame(rows, CHANGE)), known, "m1")


def test_each_kind_of_change(spark: SparkSession) -> None:
    rows = [
        ("same", "p", b"old", None, "insert", 5),
        ("moved", "q", b"old", None, "update_postimage", 5),
        ("new bytes", "p", b"old", None, "update_preimage", 5),
        ("new bytes", "p", b"new", None, "update_postimage", 5),
        ("gone", "p", b"old", None, "delete", 5),
        ("never seen", "p", b"w", None, "insert", 4),
        ("never seen", "p", b"w", None, "update_preimage", 5),
        ("never seen", "p", b"x", None, "update_postimage", 5),
        ("never seen and gone", "p", b"x", None, "insert", 5),
        ("never seen and gone", "p", b"x", None, "delete", 6),
        ("there and back", "p", b"old", None, "delete", 5),
        ("there and back", "p", b"old", None, "insert", 6),
        ("overwritten", "p", b"old", None, "delete", 5),
        ("overwritten", "p", b"old", None, "insert", 5),
        ("other model", "p", b"old", None, "insert", 5),
        ("path", "p", None, "/a.jpg", "update_postimage", 5),
        ("blank", "p", None, None, "insert", 5),
        ("was missing", "p", None, "/b.jpg", "update_postimage", 7),
    ]
    plan = planned(spark, rows)

    assert {row.image_id: row.action for row in plan.collect()} == {
        "same": "keep", "moved": "relabel", "new bytes": "tag", "gone": "delete",
        "never seen": "tag", "never seen and gone": "keep", "there and back": "keep",
        "overwritten": "keep", "other model": "tag", "path": "tag", "blank": "keep",
        "was missing": "tag",
    }  # fmt: skip
    summed = sum_up(plan)
    assert dict(summed.counts) == {"keep": 5, "relabel": 1, "tag": 5, "delete": 1}
    assert (summed.version_from, summed.version_to) == (4, 7)
    assert (summed.first_id, summed.last_id) == ("gone", "was missing")
    assert summed.count("tag", "delete", "unknown") == 6


@pytest.mark.parametrize("image_id", ["twice", None])
def test_the_key_must_be_one(spark: SparkSession, image_id: str | None) -> None:
    copies = [(image_id, "p", data, None, "insert", 5) for data in (b"1", b"2")]
    with pytest.raises(TableError, match="null or stands in several rows, as '(twice|null)'"):
        sum_up(planned(spark, copies))
    with pytest.raises(TableError, match="table here: image_id is null or stands in several"):
        require_key(spark.createDataFrame(copies, CHANGE), "here")

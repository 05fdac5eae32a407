"""An output of a few rows, whose every answer is plain to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import types as T
from stub_tagger import VOCABULARY

from jeans_udf import schemas, tables
from jeans_udf.table_names import Output

Row = dict[str, Any]



def schemas_of(garments: T.StructType) -> dict[str, T.StructType]:
    return {
        "image_status": schemas.IMAGE_STATUS,
        "garments": garments,
        "garment_crops": schemas.GARMENT_CROPS,
        "tagging_runs": schemas.TAGGING_RUNS,
        "image_detections": schemas.IMAGE_DETECTIONS,
        "attribute_overrides": schemas.ATTRIBUTE_OVERRIDES,
    }


SCHEMAS = schemas_of(schemas.garments_schema(VOCABULARY))


def moment(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC)


def status(image: str, product: str | None, garments: int, sha256: str) -> Row:
    return {"image_id": image, "product_id": product, "status": "tagged", "garments": garments,
            "image_sha256": sha256}  # fmt: skip


def garment(key: str, image: str, product: str | None, score: float, **more: Any) -> Row:
    return {"garment_id": key, "image_id": image, "product_id": product, "garment_no": 0,
            "category": "jeans", "score": score, "details": [], "attributes": [],
            "model_version": "m1"} | more  # fmt: skip


def tagging_run(key: str, number: int, garments: int, labels: dict[str, int], **more: Any) -> Row:
    return {"run_id": key, "run_no": number, "kind": "refresh", "garments": garments,
            "label_counts": labels, "exit_code": 0} | more  # fmt: skip


ROWS: Mapping[str, Sequence[Row]] = {
    "image_status": [
        status("1", "p", 2, "x"), status("2", "p", 1, "y"),
        {"image_id": "3", "product_id": "q", "status": "rejected", "reason": "empty",
         "garments": 0},
        status("4", None, 1, "x"), status("5", "r", 1, "z"),
    ],
    "garments": [
        garment("a", "1", "p", 0.5, wash="dark", wash_score=0.75, garment_no=1,
                details=["cuffed"], attributes=["dark", "cuffed"]),
        garment("c", "1", "p", 0.75, wash="dark", wash_score=0.25, attributes=["dark"]),
        garment("b", "2", "p", 0.75, wash="light", wash_score=1.0, attributes=["light"]),
        garment("d", "4", None, 1.0, wash="dark", wash_score=1.0, attributes=["dark"]),
        garment("e", "5", "r", 0.875, category="shorts"),
    ],
    "garment_crops": [{"garment_id": "a", "image_id": "1", "crop": b"png", "width": 3,
                       "height": 4}],
    "tagging_runs": [
        tagging_run("first", 1, 4, {"category.jeans": 3, "category.shorts": 1, "wash.dark": 3,
                                    "wash.": 1}, started_at=moment(1)),
        tagging_run("nothing new", 2, 0, {}),
        tagging_run("undone", 3, 2, {"wash.light": 2}),
        tagging_run("undone as well", 4, 2, {"wash.light": 2}),
        tagging_run("back", 5, 0, {}, kind="rollback", restored_run="undone"),
        tagging_run("many rejected", 6, 2, {"wash.dark": 2}, exit_code=3),
        tagging_run("failed", 7, 2, {"wash.dark": 2}, exit_code=1),
        tagging_run("failed to go back", 8, 0, {}, kind="rollback", restored_run="first",
                    exit_code=1),
        tagging_run("at work", 9, 2, {"wash.dark": 2}, exit_code=None),
    ],
    "image_detections": [
        {"image_id": "1", "image_sha256": "x", "phash": 0b1011},
        {"image_id": "2", "image_sha256": "y", "phash": 0b1000},
        {"image_id": "4", "image_sha256": "x", "phash": 0b1011},
        {"image_id": "5", "image_sha256": "z", "phash": -1},
        {"image_id": "6", "image_sha256": "w", "phash": None},
    ],
    "attribute_overrides": [],
}  # fmt: skip


def fill(
    spark: SparkSession,
    output: Output,
    of: Mapping[str, T.StructType] = SCHEMAS,
    **replaced: Sequence[Row],
) -> None:
    """Make the tables; ``replaced`` rows go in the place of `ROWS`."""
    for name, schema in of.items():
        tables.ensure_table(spark, output.table(name), schema, name, hint="")
        rows = replaced.get(name, ROWS[name])
        if rows:
            frame = spark.createDataFrame([_full(row, schema) for row in rows], schema)
            tables.append(frame.coalesce(1), output.table(name))


def override(attribute: str, labels: list[str], day: int = 1, **more: Any) -> Row:
    return {"product_id": "p", "attribute": attribute, "labels": labels, "changed_by": "ann",
            "changed_at": moment(day)} | more  # fmt: skip


def _full(row: Row, schema: T.StructType) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in schema.names)

"""A stub in place of the models: what it "finds" is written in the bytes. Says so in its name.

``b"2 dark"`` gives two jeans whose wash is ``dark``; no digit in front gives a rejected image.
Each image that it looks at leaves one file in a folder, so that tests can count the work.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark import cloudpickle
from pyspark.sql import DataFrame

from jeans_udf.progress import Counters
from jeans_udf.schemas import staged_schema
from jeans_udf.vocabulary import Vocabulary, parse_vocabulary

# Spark's workers cannot import from the tests' folder.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

VOCABULARY = parse_vocabulary(
    {
        "categories": ["jeans", "shorts"],
        "groups": {
            "wash": {"exclusive": True, "labels": ["dark", "light"]},
            "details": {"exclusive": False, "labels": ["raw_hem", "cuffed"]},
        },
    },
    where="the tests",
)


def stub_tag_images(
    images: DataFrame,
    calls: Path,
    *,
    model_version: str,
    vocabulary: Vocabulary = VOCABULARY,
    count: Counters | None = None,
    seconds: float = 0.0,
) -> DataFrame:
    """The stub in the place of `udf.tag_images`; ``calls`` is the folder of the work done.

    An image takes ``seconds``.
    """
    schema = staged_schema(vocabulary)
    folder = str(calls)

    def tag(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            rows = [_row(row, model_version) for row in frame.itertuples(index=False)]
            for row in rows:
                Path(folder, uuid.uuid4().hex).write_text(row["image_id"])
                time.sleep(seconds)
                if count is not None:
                    count(1, row["garments"], {row["reason"]: 1} if row["reason"] else {})
            yield pd.DataFrame(rows, columns=schema.names)

    return images.mapInPandas(tag, schema)


def looked_at(calls: Path) -> list[str]:
    """The image ids that the stub has seen since the last call, sorted."""
    files = list(calls.iterdir())
    ids = sorted(file.read_text() for file in files)
    for file in files:
        file.unlink()
    return ids


def expected_status(product_id: str | None, data: bytes | None) -> tuple[str, int]:
    """Status and number of garments that the stub gives for the bytes."""
    text = (data or b"").decode()
    if not text[:1].isdigit():
        return "rejected", 0
    return "tagged" if int(text[0]) else "no_garment", int(text[0])


def _row(image: Any, model_version: str) -> dict[str, Any]:
    data = image.image
    if data is None and image.path is not None and os.path.isfile(image.path):
        data = Path(image.path).read_bytes()
    row = {
        "image_id": image.image_id, "product_id": image.product_id, "status": "rejected",
        "reason": None, "detail": None, "width": None, "height": None, "garments": 0,
        "image_sha256": None if data is None else hashlib.sha256(data).hexdigest(),
        "tagged_at": datetime.now(UTC), "found": [], "detections": None, "phash": None,
        "seconds": {"decode": 0.1, "detect": 0.2, "classify": 0.3, "encode": 0.4},
    }
    if data is None:
        return row | {"reason": "null_image" if image.path is None else "missing_file"}
    number, _, wash = bytes(data).decode().partition(" ")
    if not number.isdigit():
        return row | {"reason": "not_an_image", "detail": "no digit in front"}
    found = [_garment(row, no, wash, model_version) for no in range(int(number))]
    status = "tagged" if found else "no_garment"
    return row | {
        "status": status, "width": 40, "height": 60, "garments": len(found), "found": found,
        "detections": None if image.known is not None else [],
    }


def _garment(image: dict[str, Any], number: int, wash: str, version: str) -> dict[str, Any]:
    text = "\0".join((image["image_id"], image["image_sha256"], version, str(number)))
    return {
        "garment_id": hashlib.sha256(text.encode()).hexdigest()[:32],
        "garment_no": number, "category": "jeans", "score": 0.9 - number / 10,
        "box": {"x_min": 0.0, "y_min": 1.0, "x_max": 2.0, "y_max": 3.0},
        "mask": {"height": 60, "width": 40, "counts": "x"}, "mask_area": 6,
        "wash": wash, "wash_score": 0.5, "details": ["cuffed"],
        "attributes": [wash, "cuffed"], "attribute_scores": {wash: 0.5, "cuffed": 0.9},
        "crop": f"crop of {wash}".encode(), "crop_width": 2, "crop_height": 2,
    }

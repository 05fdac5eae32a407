"""The row of an image that cost its process, and an image that must cost none."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

from PIL import Image
from pyspark.sql import types as T

from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.images import sha256_hex
from jeans_udf.paths import read_image_file
from jeans_udf.schemas import SECONDS
from jeans_udf.source_image import SourceImage

SOUND_SIDE = 128


def lost_row(
    schema: T.StructType, limits: ImageLimits, image: SourceImage, error: Rejected
) -> dict[str, Any]:
    """A row of ``schema`` (`schemas.staged_schema`) that says why, and nothing of the picture."""
    row: dict[str, Any] = dict.fromkeys(schema.names)
    return row | {
        "image_id": image.image_id,
        "product_id": image.product_id,
        "status": "rejected",
        "reason": error.reason,
        "detail": error.detail,
        "garments": 0,
        "image_sha256": _sha256(image, limits),
        "tagged_at": datetime.now(UTC),
        "seconds": dict.fromkeys(SECONDS.names, 0.0),
        "found": [],
    }


def sound_image() -> SourceImage:
    """A grey picture of no garment."""
    buffer = io.BytesIO()
    Image.new("RGB", (SOUND_SIDE, SOUND_SIDE), "grey").save(buffer, "PNG")
    return SourceImage("a sound image", None, buffer.getvalue(), None)


def _sha256(image: SourceImage, limits: ImageLimits) -> str | None:
    # Without it the next run could not tell that the same bytes were given up already.
    data = image.data
    if data is None and image.path is not None:
        try:
            data = read_image_file(image.path, limits)
        except Rejected:
            return None
    return None if data is None else sha256_hex(data)

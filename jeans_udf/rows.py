"""Rows of `schemas.staged_schema`: what the pass over the pixels says of one image."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from jeans_udf.ahead import Decoded
from jeans_udf.errors import Rejected
from jeans_udf.geometry import cutout, encode_rle, mask_area
from jeans_udf.images import perceptual_hash
from jeans_udf.models.attributes import Attributes
from jeans_udf.png import encode_png_rgba
from jeans_udf.vocabulary import Vocabulary

Row = dict[str, Any]


@dataclass
class Found:
    """A garment on its way: ``mask (h, w) bool`` of the decoded picture, ``square`` the
    classifier's input.

    ``box`` is in pixels of the upright image, ``cut_box`` in those of the decoded picture, which
    may be a reduction. ``whole()`` gives the mask of the upright image, (H, W) bool.
    ``class_scores (C,)`` are the detector's for every category; ``category`` and ``score`` are its
    best until the classifier has been heard.
    """

    number: int
    category: str
    score: float
    class_scores: np.ndarray
    box: np.ndarray
    cut_box: np.ndarray
    mask: np.ndarray | None
    whole: Callable[[], np.ndarray] | None
    square: np.ndarray
    verdict: np.ndarray | None = None
    """The classifier's; see `models.classifier.Judged`."""
    attributes: Attributes | None = None

    @cached_property
    def rle(self) -> Row | None:
        """The whole mask as COCO's compressed RLE, encoded once."""
        return None if self.whole is None else encode_rle(self.whole())


def garment_id(image_id: str, sha256: str, model_version: str, number: int) -> str:
    """Stable: the same image, bytes and bundle give the same id; 32 hex digits."""
    text = "\0".join((image_id, sha256, model_version, str(number)))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def rejected_row(image: Decoded, error: Rejected | None = None) -> Row:
    """The row of an image that cannot be tagged."""
    error = error or image.rejected
    assert error is not None
    size = image.canvas.original if image.canvas is not None else (None, None)
    status = {"status": "rejected", "reason": error.reason, "detail": error.detail}
    return _row(image, status, size, [], {})


def tagged_row(
    image: Decoded,
    garments: Sequence[Found],
    model_version: str,
    vocabulary: Vocabulary,
    seconds: Mapping[str, float],
    *,
    detected: Sequence[Found] | None = None,
) -> Row:
    """The row of an image that was looked at; cuts its crops, encodes them and the masks.

    ``detected`` is all that the detector found, to be kept for another classifier; None where that
    was known before.
    """
    assert image.sha256 is not None and image.canvas is not None and image.pixels is not None
    start = time.perf_counter()
    rows = [
        _garment(garment, image.pixels, garment_id(image.source.image_id, image.sha256,
                                                   model_version, garment.number), vocabulary)
        for garment in garments
    ]
    status = {"status": "tagged" if rows else "no_garment", "reason": None, "detail": None}
    known = None if detected is None else [_detection(garment) for garment in detected]
    encode = time.perf_counter() - start
    row = _row(image, status, image.canvas.original, rows, {**seconds, "encode": encode})
    phash = None if detected is None else perceptual_hash(image.pixels)
    return row | {"detections": known, "phash": phash}


def _row(
    image: Decoded,
    status: Row,
    size: tuple[int | None, int | None],
    found: list[Row],
    seconds: Mapping[str, float],
) -> Row:
    return {
        "image_id": image.source.image_id,
        "product_id": image.source.product_id,
        **status,
        "width": size[1],
        "height": size[0],
        "garments": len(found),
        "image_sha256": image.sha256,
        "tagged_at": datetime.now(UTC),
        "seconds": {
            "decode": image.seconds,
            **{stage: seconds.get(stage, 0.0) for stage in ("detect", "classify", "encode")},
        },
        "found": found,
        "detections": None,
        "phash": None,
    }


def _detection(garment: Found) -> Row:
    return {
        "box": _box(garment.box),
        "scores": garment.class_scores.tolist(),
        "mask": None if garment.rle is None else garment.rle["counts"],
    }


def _garment(garment: Found, pixels: np.ndarray, key: str, vocabulary: Vocabulary) -> Row:
    attributes = garment.attributes
    assert attributes is not None
    row: Row = {
        "garment_id": key,
        "garment_no": garment.number,
        "category": garment.category,
        "score": garment.score,
        "box": _box(garment.box),
        "mask": _mask(garment),
        "mask_area": None if garment.rle is None else mask_area(garment.rle),
    }
    for group in vocabulary.groups:
        if group.exclusive:
            row[group.name] = attributes.exclusive[group.name]
            row[f"{group.name}_score"] = attributes.group_score(group)
        else:
            row[group.name] = attributes.multiple[group.name]
    row["attributes"] = attributes.labels
    row["attribute_scores"] = attributes.scores
    crop = cutout(pixels, garment.mask, garment.cut_box)
    row["crop"] = encode_png_rgba(crop)
    row["crop_height"], row["crop_width"] = crop.shape[:2]
    return row


def _box(box: np.ndarray) -> Row:
    return dict(zip(("x_min", "y_min", "x_max", "y_max"), box.tolist(), strict=True))


def _mask(garment: Found) -> Row | None:
    rle = garment.rle
    if rle is None:
        return None
    return {"height": rle["size"][0], "width": rle["size"][1], "counts": rle["counts"]}

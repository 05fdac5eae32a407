"""One row of product_images, as the pass over the pixels takes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A detection of an earlier run: ``box`` XYXY in pixels of the upright image, a score for
    every category, the mask as COCO's compressed RLE counts of the upright image, if there is one.
    """

    box: tuple[float, float, float, float]
    scores: tuple[float, ...]
    mask: str | None


@dataclass(frozen=True)
class SourceImage:
    """An image's bytes, or a path to them; neither for a row that names no picture.

    ``known`` are the detections that the same detector has given for the bytes with
    ``known_sha256``; None where it has to look.
    """

    image_id: str
    product_id: str | None
    data: bytes | None
    path: str | None
    known: tuple[Known, ...] | None = None
    known_sha256: str | None = None

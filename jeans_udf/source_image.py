"""One row of product_images, as the pass over the pixels takes it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceImage:
    """An image's bytes, or a path to them; neither for a row that names no picture."""

    image_id: str
    product_id: str | None
    data: bytes | None
    path: str | None

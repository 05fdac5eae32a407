"""What the classifier sees of a garment: one of five views, cut from the photo's own pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from jeans_udf.geometry import cutout, whole_pixels

View = Literal["masked", "dimmed", "context", "box", "margin"]
"""The garment alone on grey; its box, all outside the mask drawn towards grey; the same with a
margin, in which ankles and shoes tell a cropped hem from a full one; its box as it is; the box with
a margin."""

GREY = 127
"""Value of the background: the middle, so that a mask's edge is no darker or lighter than it."""
DIMMED = 0.6
"""How far towards grey, 1 would be masked: surroundings and a mask's errors can still be seen."""
MARGIN = 0.12
"""On each side, relative to the box's longer side."""


def cut_view(
    image: np.ndarray, mask: np.ndarray | None, box: np.ndarray, view: View
) -> np.ndarray:
    """A garment of ``image (H, W, 3) uint8`` RGB as ``(h, w, 3) uint8``, never empty.

    ``mask (H, W) bool`` or None, ``box (4,)`` XYXY pixels. Without a mask, or with an empty one,
    masked and dimmed are the box as it is.
    """
    if mask is not None and not mask.any():
        mask = None
    return VIEWS[view](image, mask, box)


def fit_square(picture: np.ndarray, size: int) -> np.ndarray:
    """``picture (h, w, 3) uint8`` centred on a grey square, ``(size, size, 3) uint8``.

    The aspect ratio is kept: how wide a leg is tells the fit.
    """
    flat = Image.fromarray(np.ascontiguousarray(picture))
    scale = size / max(flat.size)
    width, height = (max(1, round(side * scale)) for side in flat.size)
    square = Image.new("RGB", (size, size), (GREY, GREY, GREY))
    # Reduced first by whole factors: as good as one large antialiased resize, and faster.
    resized = flat.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    square.paste(resized, ((size - width) // 2, (size - height) // 2))
    return np.asarray(square)


def _masked(image: np.ndarray, mask: np.ndarray | None, box: np.ndarray) -> np.ndarray:
    crop = cutout(image, mask, box)
    # Grey before scaling, so that no colour of the background bleeds in.
    return np.where(crop[:, :, 3:] > 0, crop[:, :, :3], np.uint8(GREY))


def _dimmed(image: np.ndarray, mask: np.ndarray | None, box: np.ndarray) -> np.ndarray:
    if mask is None:
        return _box(image, mask, box)
    left, top, right, bottom = whole_pixels(box, *image.shape[:2])
    inside = image[top:bottom, left:right]
    return np.where(mask[top:bottom, left:right, None], inside, _TOWARDS_GREY[inside])


def _box(image: np.ndarray, mask: np.ndarray | None, box: np.ndarray) -> np.ndarray:
    left, top, right, bottom = whole_pixels(box, *image.shape[:2])
    return image[top:bottom, left:right]


def _context(image: np.ndarray, mask: np.ndarray | None, box: np.ndarray) -> np.ndarray:
    return _dimmed(image, mask, _wider(box))


def _margin(image: np.ndarray, mask: np.ndarray | None, box: np.ndarray) -> np.ndarray:
    return _box(image, mask, _wider(box))


def _wider(box: np.ndarray) -> np.ndarray:
    margin = MARGIN * max(box[2] - box[0], box[3] - box[1])
    return box + np.array([-margin, -margin, margin, margin])


_TOWARDS_GREY = np.array(
    [round((1 - DIMMED) * value + DIMMED * GREY) for value in range(256)], dtype=np.uint8
)

VIEWS: dict[View, Callable[[np.ndarray, np.ndarray | None, np.ndarray], np.ndarray]] = {
    "masked": _masked,
    "dimmed": _dimmed,
    "context": _context,
    "box": _box,
    "margin": _margin,
}

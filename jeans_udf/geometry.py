"""Sizes, boxes and masks of pictures, as functions of values.

Boxes are XYXY in pixels of the upright image: the left and top edges belong to the box, the right
and bottom ones lie just behind its last pixel, so that ``x_max - x_min`` is its width. Masks are
``(H, W) bool``; stored, they are COCO's compressed run lengths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pycocotools import mask as coco


def fit_within(height: int, width: int, longest: int) -> tuple[int, int, float]:
    """``(h, w, scale)``: the size whose longer side is ``longest``, in the same proportion.

    Smaller images are enlarged. Each side is rounded to the nearest pixel, halves up, and is at
    least 1; ``scale`` is the unrounded ``longest / max(height, width)``.
    """
    scale = longest / max(height, width)
    return _rounded(height * scale), _rounded(width * scale), scale


def padded_size(h: int, w: int, multiple: int = 32) -> tuple[int, int]:
    """``(H, W)``: each side up to the next multiple of ``multiple``."""
    return -(-h // multiple) * multiple, -(-w // multiple) * multiple


def encode_rle(mask: np.ndarray) -> dict[str, Any]:
    """``mask (H, W) bool`` to ``{"size": [H, W], "counts": str}``, COCO's run lengths."""
    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode_rle(rle: Mapping[str, Any]) -> np.ndarray:
    """Run lengths as `encode_rle` gives them to ``(H, W) bool``."""
    return np.ascontiguousarray(coco.decode(dict(rle)), dtype=bool)


def mask_area(rle: Mapping[str, Any]) -> int:
    """Pixels of the mask behind ``rle``, without decoding it."""
    return int(coco.area(dict(rle)))


def clip_boxes(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """``boxes (N, 4) float32`` XYXY, moved to the edges where they reach beyond the image."""
    limits = np.array([width, height, width, height], dtype=np.float32)
    return np.clip(np.asarray(boxes, dtype=np.float32), 0, limits)


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a (N, 4)`` and ``b (M, 4)`` XYXY to ``(N, M) float64``: intersection over union.

    A box without area has 0 with every box, itself included.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    union = _areas(a)[:, None] + _areas(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def mask_box(mask: np.ndarray) -> np.ndarray | None:
    """``mask (H, W) bool`` to its tight box, ``(4,) float32`` XYXY; None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return None
    edges = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    return np.array(edges, dtype=np.float32)


def cutout(image: np.ndarray, mask: np.ndarray | None, box: np.ndarray) -> np.ndarray:
    """A garment's crop, ``(h, w, 4) uint8`` RGBA, never empty.

    ``image (H, W, 3) uint8``, ``mask (H, W) bool`` or None, ``box (4,)`` XYXY. Cut at the mask's
    tight box; without a mask, or with an empty one, at the whole pixels that ``box`` touches.
    Pixels outside the mask are zero in all four channels, so that nothing of the person remains
    in a picture that only looks transparent. Without a mask all pixels are opaque.
    """
    height, width = image.shape[:2]
    if mask is not None and mask.shape != (height, width):
        raise ValueError(f"cutout: mask is {mask.shape}, wanted the image's {(height, width)}")
    tight = mask_box(mask) if mask is not None else None
    left, top, right, bottom = whole_pixels(box if tight is None else tight, height, width)
    picture = image[top:bottom, left:right]
    crop = np.empty((*picture.shape[:2], 4), dtype=np.uint8)
    if mask is None:
        crop[..., :3], crop[..., 3] = picture, 255
        return crop
    # Multiplied, not indexed by the mask: less than half the time.
    inside = mask[top:bottom, left:right].astype(np.uint8)
    np.multiply(picture, inside[..., None], out=crop[..., :3])
    np.multiply(inside, 255, out=crop[..., 3])
    return crop


def whole_pixels(box: np.ndarray, height: int, width: int) -> tuple[int, int, int, int]:
    """The pixels that ``box`` touches inside the image, at least one of them."""
    x_min, y_min, x_max, y_max = (float(edge) for edge in box)
    left = min(max(math.floor(x_min), 0), width - 1)
    top = min(max(math.floor(y_min), 0), height - 1)
    right = min(max(math.ceil(x_max), left + 1), width)
    bottom = min(max(math.ceil(y_max), top + 1), height)
    return left, top, right, bottom


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)


def _rounded(side: float) -> int:
    return max(1, math.floor(side + 0.5))

"""Masks to polygons, as people draw them in annotation tools."""

from __future__ import annotations

from typing import cast

import numpy as np

Point = tuple[float, float]
Rings = tuple[list[np.ndarray], list[np.ndarray]]


def mask_outline(mask: np.ndarray) -> list[Point]:
    """``mask (H, W) bool`` to one ring of (x, y) in pixels; empty for an empty mask.

    Holes and separate parts are joined to it by lines without width, since the tools' polygons
    have one ring each. Filled, it gives the mask again but for single pixels at corners.
    """
    from contourpy import FillType, contour_generator

    # A rim of zeros closes the outlines at the picture's edge.
    levels = np.pad(mask, 1).astype(np.float64)
    generator = contour_generator(z=levels, fill_type=FillType.OuterOffset)
    points, offsets = cast(Rings, generator.filled(0.5, 2.0))
    rings = [
        # Pixel centres lie at halves; the rim moved them by one.
        _straightened(ring[start : end - 1] - 0.5)
        for ring, cuts in zip(points, offsets, strict=True)
        for start, end in zip(cuts[:-1], cuts[1:], strict=True)
    ]
    if not rings:
        return []
    joined = rings[0]
    for ring in rings[1:]:
        joined = _joined(joined, ring)
    return [(float(x), float(y)) for x, y in joined]


def _joined(ring: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One ring that runs along ``ring (N, 2)``, over to ``other (M, 2)``, round it and back."""
    nearest, distance = (0, 0), np.inf
    for index, point in enumerate(other):
        squares = ((ring - point) ** 2).sum(axis=1)
        best = int(squares.argmin())
        if squares[best] < distance:
            nearest, distance = (best, index), squares[best]
    here, there = nearest
    round_trip = np.concatenate((other[there:], other[: there + 1]))
    return np.concatenate((ring[: here + 1], round_trip, ring[here:]))


def _straightened(ring: np.ndarray) -> np.ndarray:
    """Without the points that lie on the line between their neighbours."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0] != 0
    return ring[turns]

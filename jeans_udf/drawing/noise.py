"""Smooth seeded noise: wrinkles, weave, wood grain and dirt are all made of it."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

Rng = np.random.Generator


def smooth(
    rng: Rng, shape: tuple[int, int], period: tuple[float, float], angle: float = 0.0
) -> np.ndarray:
    """(H, W) float32 of about zero mean and unit deviation.

    ``period`` is the blob size in px along and across ``angle`` (radians, clockwise from x).
    """
    height, width = shape
    if angle != 0.0 and min(period) >= 5:
        # Large blobs lose nothing at half the size, and turning them costs a quarter.
        half = smooth(rng, (height // 2 + 1, width // 2 + 1), (period[0] / 2, period[1] / 2), angle)
        return np.asarray(Image.fromarray(half).resize((width, height), Image.Resampling.BILINEAR))
    along, across = max(period[0], 1.0), max(period[1], 1.0)
    if angle == 0.0:
        grid = rng.standard_normal(
            (int(height / across) + 2, int(width / along) + 2), dtype=np.float32
        )
        box = (0.0, 0.0, max(width / along, 1.0), max(height / across, 1.0))
        size = (width, height)
        return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC, box=box))
    reach = math.hypot(height, width)
    columns, rows = int(reach / along) + 6, int(reach / across) + 6
    grid = rng.standard_normal((rows, columns), dtype=np.float32)
    cos, sin = math.cos(angle), math.sin(angle)
    # Rotation is about the picture's centre, so that the grid always covers the corners.
    coefficients = (
        cos / along,
        sin / along,
        columns / 2 - (cos * width + sin * height) / 2 / along,
        -sin / across,
        cos / across,
        rows / 2 - (-sin * width + cos * height) / 2 / across,
    )
    field = Image.fromarray(grid).transform(
        (width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
    )
    return np.asarray(field)


def grain(rng: Rng, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 white noise of unit deviation."""
    return rng.standard_normal(shape, dtype=np.float32)


def wave(rng: Rng, length: int, period: float) -> np.ndarray:
    """(length,) float32 smooth noise of about unit deviation, for edges and outlines."""
    knots = rng.standard_normal(int(length / max(period, 1.0)) + 4)
    at = np.arange(length) / max(period, 1.0)
    low = at.astype(int)
    part = at - low
    part = part * part * (3 - 2 * part)
    return (knots[low] * (1 - part) + knots[low + 1] * part).astype(np.float32)


def rise(values: np.ndarray, start: float, end: float) -> np.ndarray:
    """Smoothstep: 0 before ``start``, 1 after ``end`` (``end`` may be the smaller one)."""
    part = np.clip((values - start) / (end - start), 0.0, 1.0)
    return part * part * (3.0 - 2.0 * part)


def relief(height: np.ndarray, light: tuple[float, float], strength: float) -> np.ndarray:
    """(H, W) factors about 1: a height field lit from ``light`` (x, y), as cloth folds are."""
    lit = np.zeros_like(height)
    lit[:, 1:] += (height[:, 1:] - height[:, :-1]) * light[0]
    lit[1:] += (height[1:] - height[:-1]) * light[1]
    return 1.0 + np.clip(lit * strength, -0.45, 0.4)

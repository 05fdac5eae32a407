"""Filled shapes of cloth, skin or leather: what persons and things are put together from."""

from __future__ import annotations

import numpy as np

from jeans_udf.drawing.canvas import Canvas, Points, curve, rounded, shape_mask
from jeans_udf.drawing.colours import Colour, accent_colour, cloth_colour
from jeans_udf.drawing.fabric import weave
from jeans_udf.drawing.noise import Rng, relief, smooth, wave
from jeans_udf.drawing.plan import PATTERNS, Plan

Box = tuple[float, float, float, float]
"""XYXY px."""


def any_style(rng: Rng) -> str:
    """Mostly knitted; denim now and then, so that denim alone does not mean trousers."""
    return str(rng.choice(["jersey", "chino", "dress", "denim"], p=[0.5, 0.25, 0.2, 0.05]))


def textile(
    rng: Rng, shape: tuple[int, int], scale: float, colour: Colour | None = None,
    style: str | None = None, patterned: float = 0.3,
) -> np.ndarray:  # fmt: skip
    """(h, w, 3) cloth of any kind with its folds, for tops and backgrounds."""
    style = style or any_style(rng)
    wash = str(rng.choice(["light", "medium", "dark", "black"])) if style == "denim" else None
    colour = colour or cloth_colour(rng, "jeans" if wash else "shorts", wash, style)
    pattern = str(rng.choice(PATTERNS)) if rng.random() < patterned and style != "denim" else None
    plan = Plan("jeans" if wash else "shorts", wash, None, "short", (), "flat", colour,
                accent_colour(rng, colour), pattern, None, style, False)  # fmt: skip
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) / np.float32(scale)
    cloth = weave(plan, rng, x, y, scale)
    folds = smooth(rng, shape, (6 * scale, 14 * scale), rng.uniform(-0.6, 0.6))
    folds = folds * 0.8 + 0.25 * smooth(rng, shape, (2 * scale, 7 * scale), rng.uniform(-0.5, 0.5))
    return cloth * relief(folds, (-0.6, -0.6), 1.2)[..., None]


def solid(
    canvas: Canvas, points: Points, rng: Rng, colour: Colour | None = None, *,
    depth: float = 0.35, radius: float = 8.0, scale: float = 0.0, style: str | None = None,
    patterned: float = 0.0, shadow: float = 0.0,
) -> None:  # fmt: skip
    """Fill an outline: plain and rounded, or, given ``scale`` px a cm, as cloth with folds."""
    alpha, at = shape_mask(points)
    if shadow:
        canvas.shadow(alpha, at, (radius * 0.4, radius * 0.5), radius, shadow)
    if scale:
        paint = textile(rng, alpha.shape, scale, colour, style, patterned)
    else:
        paint = np.empty((*alpha.shape, 3), np.float32)
        paint[:] = np.asarray(colour or (0.5, 0.5, 0.5), np.float32)
    paint = np.clip(paint * rounded(alpha, depth, radius)[..., None], 0, 1)
    canvas.paint(paint, alpha, at)


def ribbon(path: Points, widths: tuple[float, ...]) -> list[tuple[float, float]]:
    """Outline of a limb: ``path`` through the middle, ``widths`` across at even steps."""
    line = np.asarray(curve(path))
    ahead = np.gradient(line, axis=0)
    ahead /= np.maximum(np.hypot(*ahead.T), 1e-6)[:, None]
    half = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths) / 2
    side = np.stack([-ahead[:, 1], ahead[:, 0]], 1) * half[:, None]
    return [tuple(p) for p in np.concatenate([line + side, (line - side)[::-1]]).tolist()]


def placed(points: Points, box: Box, mirror: bool = False) -> list[tuple[float, float]]:
    """Points of a unit square moved into ``box``; ``mirror`` adds the other half."""
    pts = list(points)
    if mirror:
        pts = pts + [(1 - x, y) for x, y in reversed(pts)]
    x0, y0, x1, y1 = box
    return [(x0 + x * (x1 - x0), y0 + y * (y1 - y0)) for x, y in pts]


def shaped(box: Box, aspect: float) -> Box:
    """The largest box of ``aspect`` (width over height) in the middle of ``box``."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    high = min(box[3] - box[1], (box[2] - box[0]) / aspect)
    return (x - high * aspect / 2, y - high / 2, x + high * aspect / 2, y + high / 2)


def crumpled(rng: Rng, points: Points, size: float) -> list[tuple[float, float]]:
    """An outline of cloth as it really lies: no edge is straight, no corner sharp."""
    line = np.asarray([*points, points[0]], np.float64)
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.arange(0, steps[-1], max(size, 2.0))
    path = np.stack([np.interp(at, steps, line[:, i]) for i in (0, 1)], 1)
    path = (np.roll(path, 1, 0) + 2 * path + np.roll(path, -1, 0)) / 4
    drift = np.stack([wave(rng, len(at), 4.0) for _ in "xy"], 1) * size * 0.16
    return [tuple(p) for p in (path + drift).tolist()]

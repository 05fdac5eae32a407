"""Laying a garment's sheet into a picture: flat on a floor or hanging, turned and tilted."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from jeans_udf.drawing.canvas import Canvas
from jeans_udf.drawing.colours import mix
from jeans_udf.drawing.garment import Cutout, draw_garment
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import Plan
from jeans_udf.drawing.shapes import Box, ribbon, solid
from jeans_udf.drawing.silhouette import MARGIN, Outline, outline


def lay_garment(
    canvas: Canvas, rng: Rng, plan: Plan, box: Box, owner: int, hanging: bool
) -> Outline:
    """Fit ``plan`` into ``box`` XYXY px and paint it; returns the outline it was drawn in."""
    parts = [np.random.default_rng(seed) for seed in rng.integers(2**62, size=2)]
    seed = int(rng.integers(2**62))
    trial = outline(plan, np.random.default_rng(seed), 1.0)
    turn = float(rng.normal(0, 0.025 if hanging else 0.1))
    if not hanging and rng.random() < 0.07:
        turn += float(rng.choice([-1, 1, 2])) * math.pi / 2
    wide, tall = trial.width - 1.2 * MARGIN, trial.height - 2 * MARGIN
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    scale = min((box[2] - box[0]) / (wide * cos + tall * sin),
                (box[3] - box[1]) / (wide * sin + tall * cos))  # fmt: skip
    shape = outline(plan, np.random.default_rng(seed), scale)
    cutout = draw_garment(plan, parts[0], shape, (-0.6, -0.6))
    corners = _corners(parts[1], cutout, box, turn, hanging)
    rgb, alpha, at = _warp(cutout, corners)
    blur = scale * (2.0 if hanging else 1.1)
    canvas.shadow(alpha, at, (scale * 0.8, scale * (1.8 if hanging else 1.0)), blur,
                  float(rng.uniform(0.3, 0.6)))  # fmt: skip
    canvas.paint(rgb, alpha, at, owner)
    if hanging:
        _hanger(canvas, parts[1], shape, corners)
    return shape


def _corners(rng: Rng, cutout: Cutout, box: Box, turn: float, hanging: bool) -> np.ndarray:
    """(4, 2) px: where the sheet's corners go, clockwise from the top left."""
    height, width = cutout.alpha.shape
    unit = np.array([(-width, -height), (width, -height), (width, height), (-width, height)]) / 2
    # A phone held not quite above the cloth: the far side is a little narrower.
    tilt = rng.normal(0, 0.03, 2)
    unit = unit * (1 + np.sign(unit[:, ::-1]) * tilt[::-1])
    unit[:, 0] += unit[:, 1] * rng.normal(0, 0.02 if hanging else 0.04)
    cos, sin = math.cos(turn), math.sin(turn)
    turned = unit @ np.array([(cos, sin), (-sin, cos)])
    return turned + ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


def _homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Eight coefficients, as Pillow wants them, that take ``target`` points to ``source``."""
    rows = []
    for (x, y), (u, v) in zip(target.tolist(), source.tolist(), strict=True):
        rows.append((x, y, 1, 0, 0, 0, -u * x, -u * y))
        rows.append((0, 0, 0, x, y, 1, -v * x, -v * y))
    return np.linalg.solve(np.array(rows), source.reshape(-1))


def _warp(
    cutout: Cutout, corners: np.ndarray
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    height, width = cutout.alpha.shape
    low = np.floor(corners.min(0)).astype(int)
    size = tuple((np.ceil(corners.max(0)).astype(int) - low).tolist())
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    numbers = tuple(_homography(source, corners - low).tolist())
    colour = Image.fromarray((cutout.rgb * 255).astype(np.uint8))
    colour = colour.transform(size, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR)
    alpha = Image.fromarray((cutout.alpha * 255).astype(np.uint8))
    alpha = alpha.transform(size, Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR)
    return (
        np.asarray(colour, np.float32) / 255,
        np.asarray(alpha, np.float32) / 255,
        (int(low[0]), int(low[1])),
    )


def _hanger(canvas: Canvas, rng: Rng, shape: Outline, corners: np.ndarray) -> None:
    """A bar with two clips at the waist, and a hook that leaves the picture or ends above."""
    source = np.array([(0, 0), (shape.width, 0), (shape.width, shape.height), (0, shape.height)])
    back = _homography(corners, source.astype(float))

    def spot(x: float, y: float) -> tuple[float, float]:
        depth = back[6] * x + back[7] * y + 1
        return (
            float((back[0] * x + back[1] * y + back[2]) / depth),
            float((back[3] * x + back[4] * y + back[5]) / depth),
        )

    scale = shape.scale
    tone = (0.1, 0.1, 0.11) if rng.random() < 0.7 else (0.75, 0.76, 0.78)
    reach = rng.uniform(0.66, 0.84)
    ends = [shape.spot(sign * reach, 0.0) for sign in (-1, 1)]
    middle, bar = shape.middle[int(shape.waist)], shape.waist - 4.5 * scale
    line = [spot(ends[0][0], bar + scale), spot(middle, bar), spot(ends[1][0], bar + scale)]
    solid(canvas, ribbon(line, (1.6 * scale, 1.6 * scale)), rng, tone, radius=3)
    hook = [spot(middle + dx * scale, bar - dy * scale) for dx, dy in
            ((0, 0), (0, 4), (3, 6.5), (2.5, 9.5), (-0.5, 10.5), (-3, 9))]  # fmt: skip
    solid(canvas, ribbon(hook, (0.7 * scale, 0.7 * scale)), rng, (0.7, 0.7, 0.72), depth=0.2)
    for x, y in ends:
        clip = [spot(x + dx * scale, y + dy * scale) for dx, dy in
                ((-1.8, -5), (1.8, -5), (2.1, 2.6), (-2.1, 2.6))]  # fmt: skip
        solid(canvas, clip, rng, tone, radius=3, shadow=0.3)
        shine = [spot(x + dx * scale, y + dy * scale) for dx, dy in
                 ((-0.6, -4), (0.6, -4), (0.6, -1), (-0.6, -1))]  # fmt: skip
        solid(canvas, shine, rng, mix(tone, (1, 1, 1), 0.4), depth=0)

"""Where every pixel of a garment's sheet lies on the garment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jeans_udf.drawing.noise import Rng, rise
from jeans_udf.drawing.plan import Plan
from jeans_udf.drawing.silhouette import Outline, cargo_span, cuff_height


@dataclass
class Fields:
    """Per pixel (h, w) float32: ``s`` -1..1 across the leg, ``t`` 0..1 down the leg (below 0 on
    the body), ``body`` -1..1 across the whole, ``hip`` 1 on the body and 0 on the legs,
    ``inner`` shadow of the front leg on the other, ``u`` and ``v`` cm on the cloth."""

    s: np.ndarray
    t: np.ndarray
    body: np.ndarray
    hip: np.ndarray
    inner: np.ndarray
    u: np.ndarray
    v: np.ndarray
    hem: np.ndarray
    alpha: np.ndarray


def fields_of(plan: Plan, rng: Rng, outline: Outline) -> Fields:
    scale = outline.scale
    x = np.arange(outline.width, dtype=np.float32)[None]
    y = np.arange(outline.height, dtype=np.float32)[:, None]
    order = (1 - outline.front, outline.front)
    shape = (outline.height, outline.width)
    s, t = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    hem, inner = np.zeros(shape, np.float32), np.ones(shape, np.float32)
    alpha = np.zeros(shape, np.float32)
    for turn, side in enumerate(order):
        leg = outline.legs[side]
        left, right = _cuffed_edges(plan, outline, side)
        half = np.maximum((right - left) / 2, 1)
        across = (x - left - half) / half
        cover = np.clip(x - left + 0.5, 0, 1) * np.clip(right - x + 0.5, 0, 1)
        sag = (1 - np.clip(across, -1, 1) ** 2) * (0.9 if plan.view == "worn" else 0.4) * scale
        bottom = leg.hem + leg.tilt * (x - leg.centre[min(int(leg.hem), len(left) - 1)]) + sag
        to_hem = bottom - y
        if "raw_hem" in plan.details:
            to_hem = to_hem + _fringe(rng, outline.width, scale)[None]
        cover = cover * np.clip(to_hem + 0.5, 0, 1) * (y >= outline.crotch - scale)
        # Where a leg has no cover, the nearer leg's fields go on: edges then take its colours.
        mine = cover > 0.5 if turn else np.ones(shape, bool)
        if turn == 0:
            near = (x < outline.middle[:, None]) == (side == 0)
        else:
            near = mine | ((x < outline.middle[:, None]) == (side == 0)) & (alpha < 0.5)
            gap = np.maximum(left - x, x - right)
            shadow = 1 - 0.45 * np.exp(-np.clip(gap, 0, None) / (1.3 * scale))
            inner = np.where((gap > 0) & (y > outline.crotch), shadow, 1)
        use = near if turn else np.ones(shape, bool)
        s = np.where(use, across, s)
        t = np.where(use, (y - outline.crotch) / (leg.hem - outline.crotch), t)
        hem = np.where(use, to_hem, hem)
        alpha = np.maximum(alpha, cover)
    half = np.maximum((outline.right - outline.left) / 2, 1)[:, None]
    body = (x - outline.middle[:, None]) / half
    top = outline.waist + outline.dip * (1 - np.clip(body, -1, 1) ** 2)
    if plan.view == "flat" and outline.dip > 0:
        top = top - outline.dip * 1.0
    cover = np.clip(half * (1 - np.abs(body)) + 0.5, 0, 1) * np.clip(y - top + 0.5, 0, 1)
    cover = cover * (y <= outline.crotch)
    hip = rise(y, outline.crotch + 5 * scale, outline.crotch - 8 * scale) + 0 * x
    u = np.clip(s, -1.2, 1.2) * (1 - hip) * 10 + np.clip(body, -1.2, 1.2) * hip * 20
    u = np.where(hip > 0, body * half / scale, s * half / 2 / scale)
    v = y / scale + 0 * x
    return Fields(s, t, body, hip, inner, u, v, hem, np.maximum(alpha, cover))


def _cuffed_edges(plan: Plan, outline: Outline, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Leg edges (h, 1); a turned-up hem and a side pocket stand out a little."""
    leg, scale = outline.legs[side], outline.scale
    out = np.zeros_like(leg.left)
    rows = np.arange(outline.height)
    if "cuffed" in plan.details:
        out += 0.5 * scale * (rows > leg.hem - cuff_height(outline) * scale)
    pocket = np.zeros_like(out)
    if "cargo" in plan.details:
        at = (rows - outline.crotch) / (leg.hem - outline.crotch)
        low, high = cargo_span(plan)
        pocket += 0.9 * scale * rise(at, low - 0.02, low + 0.02) * rise(at, high + 0.02, high)
    left = leg.left - out - (pocket if side == 0 else 0)
    right = leg.right + out + (pocket if side == 1 else 0)
    return left[:, None].astype(np.float32), right[:, None].astype(np.float32)


def _fringe(rng: Rng, width: int, scale: float) -> np.ndarray:
    """(w,) px by which threads hang below the cut."""
    threads = rng.random(width).astype(np.float32) ** 2.5 * 2.6 * scale
    return threads + np.repeat(rng.random(width // 6 + 1), 6)[:width].astype(np.float32) * scale

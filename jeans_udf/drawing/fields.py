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
    """Follow the outline's rows; the leg in front is laid over the other."""
    scale = outline.scale
    x = np.arange(outline.width, dtype=np.float32)[None]
    y = np.arange(outline.height, dtype=np.float32)[:, None]
    back = _leg(plan, rng, outline, 1 - outline.front, x, y)
    front = _leg(plan, rng, outline, outline.front, x, y)
    # Where neither leg covers, the nearer one's fields go on: rims then take its colours.
    nearer = (x < outline.middle[:, None]) == (outline.front == 0)
    use = (front["cover"] > 0.5) | (nearer & (back["cover"] < 0.5))
    s, t, hem, lean = (np.where(use, front[k], back[k]) for k in ("s", "t", "hem", "lean"))
    beside = np.exp(-np.clip(front["gap"], 0, None) / (1.3 * scale))
    inner = np.where((front["gap"] > 0) & (y > outline.crotch), 1 - 0.45 * beside, 1)
    half = np.maximum((outline.right - outline.left) / 2, 1)[:, None]
    body = (x - outline.middle[:, None]) / half
    top = outline.waist + outline.dip * (1 - np.clip(body, -1, 1) ** 2)
    if plan.view == "flat" and outline.dip > 0:
        # The back's inside, drawn by the sewing, fills the dip of the front.
        top = top - outline.dip
    cover = np.clip(half * (1 - np.abs(body)) + 0.5, 0, 1) * np.clip(y - top + 0.5, 0, 1)
    legs = np.maximum(front["cover"], back["cover"])
    alpha = np.maximum(legs, cover * (y <= outline.crotch))
    hip = rise(y, outline.crotch + 5 * scale, outline.crotch - 8 * scale) + 0 * x
    u = (x - outline.width / 2 - lean) / scale
    return Fields(s, t, body, hip, inner, u, y / scale + 0 * x, hem, alpha)


def _leg(
    plan: Plan, rng: Rng, outline: Outline, side: int, x: np.ndarray, y: np.ndarray
) -> dict[str, np.ndarray]:
    """Fields of one leg over the whole sheet: s, t, hem (px above it), lean, gap, cover."""
    leg, scale = outline.legs[side], outline.scale
    left, right = _edges(plan, outline, side)
    half = np.maximum((right - left) / 2, 1)
    across = (x - left - half) / half
    sag = (1 - np.clip(across, -1, 1) ** 2) * (0.9 if plan.view == "worn" else 0.4) * scale
    middle = leg.centre[min(int(leg.hem), outline.height - 1)]
    to_hem = leg.hem + leg.tilt * (x - middle) + sag - y
    if "raw_hem" in plan.details:
        to_hem = to_hem + _fringe(rng, outline.width, scale)[None]
    cover = np.clip(x - left + 0.5, 0, 1) * np.clip(right - x + 0.5, 0, 1)
    cover = cover * np.clip(to_hem + 0.5, 0, 1) * (y >= outline.crotch - scale)
    # A print follows its leg, from where the legs part.
    lean = leg.centre - leg.centre[int(outline.crotch)]
    lean[: int(outline.crotch)] = 0
    return {
        "s": across,
        "t": (y - outline.crotch) / (leg.hem - outline.crotch) + 0 * x,
        "hem": to_hem,
        "lean": lean[:, None] + 0 * x,
        "gap": np.maximum(left - x, x - right),
        "cover": cover,
    }


def _edges(plan: Plan, outline: Outline, side: int) -> tuple[np.ndarray, np.ndarray]:
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

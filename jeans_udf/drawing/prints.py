"""Prints: functions (plan, rng, cloth (h, w, 3), u, v, scale) -> cloth, by name."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from jeans_udf.drawing.colours import Colour, mix
from jeans_udf.drawing.noise import Rng, smooth
from jeans_udf.drawing.plan import Plan


def _period(rng: Rng, low: float, high: float, least: float) -> float:
    """cm from one figure to the next; never below ``least``, where it would blur to a tone."""
    return max(float(rng.uniform(low, high)), least)


def _stripes(
    plan: Plan, rng: Rng, cloth: np.ndarray, u: np.ndarray, v: np.ndarray, scale: float
) -> np.ndarray:
    period = _period(rng, 1.2, 6.0, 5 / scale)
    across = v if rng.random() < 0.3 else u
    width = max(rng.uniform(0.12, 0.5), 1.6 / scale / period)
    on = np.clip((np.abs((across / period) % 1 - 0.5) - 0.5 + width / 2) * period * scale, 0, 1)
    return _lay(cloth, plan.accent, on)


def _checks(
    plan: Plan, rng: Rng, cloth: np.ndarray, u: np.ndarray, v: np.ndarray, scale: float
) -> np.ndarray:
    period = _period(rng, 1.5, 8.0, 8 / scale)
    for share, width, colour in ((0.0, 0.5, 0.45), (0.45, 0.08, 0.8)):
        for across in (u, v):
            near = np.abs((across / period + share) % 1 - 0.5) - 0.5 + width / 2
            cloth = _lay(cloth, plan.accent, np.clip(near * period * scale, 0, 1) * colour)
    return cloth


def _geometric(
    plan: Plan, rng: Rng, cloth: np.ndarray, u: np.ndarray, v: np.ndarray, scale: float
) -> np.ndarray:
    period = _period(rng, 3.0, 9.0, 14 / scale)
    zigzag = v / period + np.abs((u / period) % 1 - 0.5) * 1.2
    on = np.clip((np.abs(zigzag % 1 - 0.5) - 0.28) * period * scale, 0, 1)
    cloth = _lay(cloth, plan.accent, on)
    thin = np.clip((0.05 - np.abs(zigzag % 1 - 0.5)) * period * scale, 0, 1)
    return _lay(cloth, (plan.accent[2], plan.accent[0], plan.accent[1]), thin)


def _camouflage(
    plan: Plan, rng: Rng, cloth: np.ndarray, u: np.ndarray, v: np.ndarray, scale: float
) -> np.ndarray:
    size = rng.uniform(3.5, 7) * scale
    for share, limit in ((0.55, 0.2), (0.3, 0.45), (-0.5, 0.5)):
        blot = smooth(rng, u.shape, (size * 1.4, size)) + 0.4 * smooth(
            rng, u.shape, (size / 3, size / 3)
        )
        tone = mix(plan.colour, (0.8, 0.75, 0.6) if share > 0 else (0.04, 0.05, 0.03), abs(share))
        cloth = _lay(cloth, tone, np.clip((blot - limit) * 6, 0, 1))
    return cloth


def _leopard(
    plan: Plan, rng: Rng, cloth: np.ndarray, u: np.ndarray, v: np.ndarray, scale: float
) -> np.ndarray:
    size = max(rng.uniform(1.2, 2.2) * scale, 4)
    blot = smooth(rng, u.shape, (size, size))
    cloth = _lay(cloth, mix(plan.colour, plan.accent, 0.4), np.clip((blot - 0.6) * 5, 0, 1))
    ring = 0.3 - np.abs(blot - 0.55)
    return _lay(cloth, plan.accent, np.clip(ring * 5, 0, 1) * 0.85)


def _stamped(
    plan: Plan, rng: Rng, cloth: np.ndarray, scale: float, petals: bool
) -> np.ndarray:
    height, width = cloth.shape[:2]
    sheet = Image.fromarray((cloth * 255).astype(np.uint8))
    pen = ImageDraw.Draw(sheet)
    size = rng.uniform(0.6, 1.6 if petals else 0.9) * scale
    step = max(size * rng.uniform(2.6, 4.0), 5)
    second = mix(plan.accent, (rng.random(), rng.random(), rng.random()), 0.6)
    for row, y in enumerate(np.arange(0, height, step)):
        for x in np.arange((row % 2) * step / 2, width, step):
            px, py = (x, y) if not petals else (x, y) + rng.normal(0, step / 4, 2)
            tone = plan.accent if not petals or rng.random() < 0.6 else second
            ink = tuple(int(np.clip(c, 0, 1) * 255) for c in tone)
            if not petals:
                pen.ellipse((px - size / 2, py - size / 2, px + size / 2, py + size / 2), ink)
                continue
            for turn in rng.random() + np.arange(5) * 1.2566:
                ox, oy = px + np.cos(turn) * size / 2, py + np.sin(turn) * size / 2
                pen.ellipse((ox - size / 3, oy - size / 3, ox + size / 3, oy + size / 3), ink)
            heart = (px - size / 5, py - size / 5, px + size / 5, py + size / 5)
            pen.ellipse(heart, (240, 220, 90))
    return np.asarray(sheet, np.float32) / 255


def _dots(
    plan: Plan, rng: Rng, cloth: np.ndarray, u: np.ndarray, v: np.ndarray, scale: float
) -> np.ndarray:
    return _stamped(plan, rng, cloth, scale, petals=False)


def _floral(
    plan: Plan, rng: Rng, cloth: np.ndarray, u: np.ndarray, v: np.ndarray, scale: float
) -> np.ndarray:
    return _stamped(plan, rng, cloth, scale, petals=True)


def _lay(cloth: np.ndarray, colour: Colour, share: np.ndarray) -> np.ndarray:
    return cloth + (np.asarray(colour, np.float32) - cloth) * share[..., None].astype(np.float32)


PRINTS = {
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "floral": _floral,
    "camouflage": _camouflage,
    "geometric": _geometric,
    "leopard": _leopard,
}

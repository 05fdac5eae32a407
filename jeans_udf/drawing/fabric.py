"""Cloth: its weave, and what wearing does to it."""

from __future__ import annotations

import numpy as np

from jeans_udf.drawing.colours import mix
from jeans_udf.drawing.noise import Rng, grain, smooth
from jeans_udf.drawing.plan import Plan
from jeans_udf.drawing.prints import PRINTS


def weave(plan: Plan, rng: Rng, u: np.ndarray, v: np.ndarray, scale: float) -> np.ndarray:
    """(H, W, 3) float32 cloth before light falls on it; ``u``, ``v`` are cm on the cloth."""
    shape = u.shape
    cloth = np.empty((*shape, 3), np.float32)
    cloth[:] = np.asarray(plan.colour, np.float32)
    if plan.pattern is not None:
        cloth = PRINTS[plan.pattern](plan, rng, cloth, u, v, scale)
    if plan.style == "denim":
        return _denim(plan, rng, cloth, scale)
    depth = {"jersey": 0.035, "chino": 0.022, "dress": 0.018, "light": 0.02, "stretch": 0.012}
    texture = grain(rng, shape) * depth[plan.style]
    if plan.style == "jersey":
        # Marl: sweat cloth is spun of light and dark fibres.
        marl = rng.random() < 0.5
        texture += smooth(rng, shape, (3, 1.5)) * (0.05 if marl else 0.01)
    elif plan.style == "dress" and rng.random() < 0.5:
        texture += smooth(rng, shape, (1.5, 5)) * 0.03
    lift = 0.35 + np.asarray(plan.colour, np.float32).mean()
    return np.clip(cloth + (texture * lift)[..., None], 0, 1)


def _denim(plan: Plan, rng: Rng, cloth: np.ndarray, scale: float) -> np.ndarray:
    """Twill: white weft between dyed warp, slubs along the leg, blotchy washing."""
    shape = cloth.shape[:2]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    twill = np.sin((x + y * 1.3) * (2.1 if scale < 4 else 1.6)) * 0.03
    slub = smooth(rng, shape, (1.2, 14)) * 0.045 + smooth(rng, shape, (6, 1.3)) * 0.012
    blotch = smooth(rng, shape, (5 * scale, 7 * scale)) * 0.025
    depth = {"white": 0.3, "black": 0.45, "dark": 0.6, "colored": 0.6}.get(plan.wash or "", 1.0)
    white = (twill + slub + blotch + grain(rng, shape) * 0.045) * depth
    target = np.float32(0.95) if plan.wash not in ("white",) else np.float32(0.6)
    return np.clip(cloth + (target - cloth * 0.6) * white[..., None], 0, 1)


def fade(plan: Plan, rng: Rng, cloth: np.ndarray, wear: np.ndarray) -> np.ndarray:
    """Bleach ``cloth`` where ``wear`` (H, W) in 0..1 says so."""
    rough = np.clip(wear * (1 + 0.16 * smooth(rng, wear.shape, (4, 14))), 0, 1)[..., None]
    light = mix(plan.colour, (0.86, 0.89, 0.9), 0.72 if plan.wash != "black" else 0.5)
    return cloth + (np.asarray(light, np.float32) * (0.93 + cloth * 0.1) - cloth) * rough

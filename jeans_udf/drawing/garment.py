"""One bottom garment drawn on its own upright sheet: cloth, light and sewing, with its alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jeans_udf.drawing.canvas import Pen
from jeans_udf.drawing.colours import mix
from jeans_udf.drawing.fabric import fade, weave
from jeans_udf.drawing.fields import Fields, fields_of
from jeans_udf.drawing.folds import folds
from jeans_udf.drawing.noise import Rng, grain, relief, smooth
from jeans_udf.drawing.plan import DENIM, Plan
from jeans_udf.drawing.sewing import sew
from jeans_udf.drawing.silhouette import Outline, cuff_height


@dataclass
class Cutout:
    """``rgb`` (h, w, 3) and ``alpha`` (h, w), float32 in 0..1, on the sheet of ``outline``."""

    rgb: np.ndarray
    alpha: np.ndarray
    outline: Outline


def draw_garment(plan: Plan, rng: Rng, outline: Outline, light: tuple[float, float]) -> Cutout:
    """Paint ``plan`` into ``outline``; ``light`` is the direction it comes from, x and y."""
    parts = [np.random.default_rng(seed) for seed in rng.integers(2**62, size=5)]
    fields = fields_of(plan, parts[0], outline)
    cloth = weave(plan, parts[1], fields.u, fields.v, outline.scale)
    if "faded" in plan.details:
        cloth = fade(plan, parts[2], cloth, _wear(parts[2], fields))
    elif plan.category in DENIM:
        cloth = fade(plan, parts[2], cloth, _wear(parts[2], fields) * 0.12)
    cloth = _hems(plan, parts[2], cloth, fields, outline)
    pen = Pen(outline.height, outline.width)
    outside = sew(plan, parts[3], pen, outline)
    ink, cover = pen.layers()
    cloth = cloth * (1 - cover[..., None]) + ink
    cloth = cloth * _light(plan, parts[4], fields, outline, light)[..., None]
    if plan.style == "stretch":
        cloth = cloth + _shine(parts[4], fields)[..., None]
    alpha = fields.alpha
    if outside is not None:
        ink, cover = outside.layers()
        cloth = cloth * (1 - cover[..., None]) + ink
        alpha = np.maximum(alpha, cover)
    return Cutout(np.clip(cloth, 0, 1).astype(np.float32), alpha.astype(np.float32), outline)


def _wear(rng: Rng, fields: Fields) -> np.ndarray:
    """0..1 where wearing bleaches: thighs and knees, and whiskers that fan out from the crotch."""
    strength = rng.uniform(0.6, 1.0)
    thigh = np.exp(-(((fields.t - 0.2) / 0.26) ** 2) - (fields.s / 0.55) ** 2)
    knee = np.exp(-(((fields.t - 0.52) / 0.16) ** 2) - (fields.s / 0.6) ** 2) * 0.7
    drift = smooth(rng, fields.s.shape, (60, 40)) * 1.3
    whisker = np.sin((fields.v - np.abs(fields.u) * rng.uniform(0.3, 0.6)) * 2.0 + drift)
    whisker = np.clip(whisker - 0.6, 0, 1) * rng.uniform(0, 1.1)
    whisker = whisker * np.exp(-((fields.t / 0.1) ** 2))
    return np.clip((np.maximum(thigh, knee) + whisker) * strength, 0, 1)


def _hems(
    plan: Plan, rng: Rng, cloth: np.ndarray, fields: Fields, outline: Outline
) -> np.ndarray:
    """Turned-up or frayed ends of the legs."""
    scale = outline.scale
    below = (fields.t > 0.02).astype(np.float32)
    if "cuffed" in plan.details:
        height = cuff_height(outline) * scale
        cuff = below * np.clip(height - fields.hem + 0.5, 0, 1)
        inside = mix(plan.colour, (0.86, 0.88, 0.9), 0.5 if plan.category in DENIM else 0.22)
        texture = 1 + 0.05 * grain(rng, cuff.shape) + 0.05 * smooth(rng, cuff.shape, (2, 6))
        cuff_cloth = np.asarray(inside, np.float32) * texture[..., None]
        cloth = cloth + (cuff_cloth - cloth) * cuff[..., None]
        edge = np.abs(fields.hem - height)
        shadow = below * np.exp(-edge / (0.45 * scale)) * (fields.hem > height - 0.6)
        cloth = cloth * (1 - 0.55 * shadow * (fields.hem > height - 1))[..., None]
    if "raw_hem" in plan.details:
        threads = np.clip(1.3 + 0.7 * grain(rng, (1, outline.width)), 0, 2)
        white = below * np.clip(1.6 * scale - fields.hem, 0, scale) / scale * threads
        tone = np.float32(0.93) if plan.category in DENIM else np.asarray(plan.colour) * 1.2 + 0.1
        cloth = cloth + (tone - cloth) * np.clip(white, 0, 0.9)[..., None]
    return cloth


def _light(
    plan: Plan, rng: Rng, fields: Fields, outline: Outline, light: tuple[float, float]
) -> np.ndarray:
    """(h, w) factors: roundness of body and legs, folds, gathers, the shadow between the legs."""
    worn = plan.view == "worn"
    depth = 0.5 if worn else 0.2
    side = light[0] * (0.35 if worn else 0.15)
    power = 2.2 if worn else 5.0

    def tube(across: np.ndarray) -> np.ndarray:
        return 1.04 - depth * np.clip(np.abs(across + side * 0.6), 0, 1.15) ** power

    shade = tube(fields.s) * (1 - fields.hip) + tube(fields.body) * fields.hip
    height = folds(plan, rng, fields, outline)
    dark = sum(plan.colour) / 3 < 0.15
    shade = shade * relief(height, light, 1.5 if dark else 1.0) * fields.inner
    crotch = np.exp(-((fields.body / 0.12) ** 2) - (fields.t / 0.06) ** 2)
    return (shade * (1 - 0.3 * crotch)).astype(np.float32)


def _shine(rng: Rng, fields: Fields) -> np.ndarray:
    """Stretch cloth gleams along the leg."""
    gloss = rng.uniform(0.0, 0.16)
    at = rng.uniform(-0.35, 0.35)
    return (gloss * np.exp(-(((fields.s - at) / 0.22) ** 2)) * (1 - 0.6 * fields.hip)).astype(
        np.float32
    )

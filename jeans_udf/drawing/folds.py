"""Height of the folds that cloth takes when it lies, hangs or is worn."""

from __future__ import annotations

import numpy as np

from jeans_udf.drawing.fields import Fields
from jeans_udf.drawing.noise import Rng, rise, smooth
from jeans_udf.drawing.plan import Plan
from jeans_udf.drawing.silhouette import Outline

LOOSE = frozenset({"relaxed", "wide", "flare"})


def folds(plan: Plan, rng: Rng, fields: Fields, outline: Outline) -> np.ndarray:
    """(h, w) heights; differences of about 0.1 a pixel make visible folds."""
    scale, shape = outline.scale, fields.s.shape
    half = (shape[0] // 2, shape[1] // 2)
    small = scale / 2
    height = smooth(rng, half, (9 * small, 16 * small), rng.uniform(-0.5, 0.5)) * 0.8
    height = height + smooth(rng, half, (2.5 * small, 9 * small), rng.uniform(-0.4, 0.4)) * 0.16
    t, s = fields.t[::2, ::2][: half[0], : half[1]], fields.s[::2, ::2][: half[0], : half[1]]
    hip = fields.hip[::2, ::2][: half[0], : half[1]]
    if plan.view == "worn":
        height = height + _worn(plan, rng, t, s, small)
    elif plan.category != "leggings":
        crease = smooth(rng, half, (12 * small, 1.8 * small), rng.uniform(-0.7, 0.7))
        height = height + crease * 0.22 * rise(crease, 0.0, 1.6)
    if "drawstring" in plan.details:
        gather = smooth(rng, half, (0.9 * small, 11 * small))
        body = np.abs(fields.v[::2, ::2][: half[0], : half[1]] - outline.waist / scale)
        height = height + gather * 0.4 * np.exp(-((body / 9) ** 2)) * hip
    rows, columns = (np.minimum(np.arange(n) // 2, m - 1) for n, m in zip(shape, half, strict=True))
    full = height.astype(np.float32)[rows][:, columns]
    # Doubled pixels would show as steps: a cheap average over neighbours takes them out.
    full[1:-1] = (full[:-2] + 2 * full[1:-1] + full[2:]) / 4
    full[:, 1:-1] = (full[:, :-2] + 2 * full[:, 1:-1] + full[:, 2:]) / 4
    return full * (6.0 / max(scale, 1.5)) ** 0.5


def _worn(plan: Plan, rng: Rng, t: np.ndarray, s: np.ndarray, small: float) -> np.ndarray:
    """Pulls at the crotch and knees, stacks above the shoe, long folds in wide legs."""
    lean = rng.uniform(0.25, 0.6) * (1 if rng.random() < 0.5 else -1)
    pulls = smooth(rng, t.shape, (9 * small, 1.7 * small), lean)
    pulls = pulls + smooth(rng, t.shape, (9 * small, 2.2 * small), -lean)
    where = np.exp(-(((t - 0.02) / 0.09) ** 2)) + np.exp(-(((t - 0.5) / 0.12) ** 2)) * 0.8
    if plan.length == "full":
        where = where + np.exp(-(((t - 0.96) / 0.13) ** 2)) * 1.3
    tight = 0.16 if plan.category == "leggings" else 0.34
    folded = pulls * tight * where
    if plan.fit in LOOSE:
        folded = folded + smooth(rng, t.shape, (2.6 * small, 40 * small)) * 0.35 * rise(t, 0, 0.4)
    return folded

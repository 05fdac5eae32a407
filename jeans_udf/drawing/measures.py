"""Lengths and widths of garments, by fit: what makes a model tell skinny from wide."""

from __future__ import annotations

from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import Plan

# Widths in cm of thigh, knee and hem: of a garment laid flat (half the tube's circumference),
# and of the tube seen from the front when a person fills it.
FLAT: dict[str, tuple[float, float, float]] = {
    "skinny": (24.5, 15.5, 11.5), "slim": (27, 19, 15.5), "straight": (29, 23, 21.5),
    "relaxed": (30.5, 27.5, 22), "bootcut": (27.5, 19.5, 25.5), "flare": (27, 18.5, 34),
    "wide": (30.5, 32.5, 35),
}  # fmt: skip
WORN: dict[str, tuple[float, float, float]] = {
    "skinny": (16.8, 11.5, 8.2), "slim": (18, 13.6, 11.2), "straight": (19.3, 16.4, 16),
    "relaxed": (22, 19.5, 16.5), "bootcut": (18, 13.6, 19), "flare": (17.8, 13.4, 28),
    "wide": (22.5, 24.5, 27),
}  # fmt: skip


def measures(plan: Plan, rng: Rng) -> dict[str, float]:
    """Lengths and widths in cm: those of the fit, with some play."""
    worn = plan.view == "worn"
    fit = plan.fit or "straight"
    thigh, knee, hem = (WORN if worn else FLAT)[fit]
    full = 76.0 if worn else rng.uniform(72, 80)
    inseam, knee_at = full, 0.46
    if plan.length == "cropped":
        inseam = full * rng.uniform(0.56, 0.82)
        knee_at = min(0.45 * full / inseam, 0.8)
    if plan.length == "short":
        inseam = rng.uniform(5, 23) if plan.category == "denim_shorts" else rng.uniform(7, 30)
        thigh, knee, hem = _short_widths(rng, worn, inseam)
        knee_at = 0.5
    if fit == "relaxed" and plan.style == "jersey" and rng.random() < 0.5:
        hem *= 0.72
    if plan.category == "leggings" and not worn:
        thigh, knee, hem = thigh * 0.86, knee * 0.86, hem * 0.85
    hip = _hip(plan, thigh)
    # Much wider thighs than half the hip would kink the outer seam where the legs part.
    thigh = min(thigh, hip / 2 * 1.06)
    waist = hip * (0.83 if worn else rng.uniform(0.76, 0.86))
    if "drawstring" in plan.details:
        waist = hip * rng.uniform(0.66, 0.84)
    play = rng.normal(1, 0.025, 3)
    return {
        "waist": waist, "hip": hip, "thigh": thigh * play[0], "knee": knee * play[1],
        "hem": hem * play[2], "rise": 24.0 if worn else rng.uniform(23, 29), "inseam": inseam,
        "knee_at": knee_at, "bend": 4.5 if rng.random() < 0.2 else 1.2,
    }  # fmt: skip


def _hip(plan: Plan, thigh: float) -> float:
    if plan.view == "worn":
        return max(33.5 + 0.11 * thigh, 1.8 * thigh)
    if plan.category == "leggings":
        return 36.0
    return max(35.5 + 0.42 * thigh, (1.8 if plan.length == "short" else 1.72) * thigh)


def _short_widths(rng: Rng, worn: bool, inseam: float) -> tuple[float, float, float]:
    thigh = rng.uniform(18.5, 21.5) if worn else rng.uniform(28, 34)
    flare = rng.uniform(0.0, 1.5) - inseam * 0.03
    return thigh, thigh + flare * 0.5, thigh + flare

"""Colours that bottoms are sold in."""

from __future__ import annotations

import colorsys

import numpy as np

from jeans_udf.drawing.noise import Rng

Colour = tuple[float, float, float]
"""RGB in 0..1."""

BLACK: Colour = (0.0, 0.0, 0.0)
GOLD: Colour = (0.78, 0.55, 0.25)
# Hue range, saturation range, value range of each wash; None as hue: any colour.
_WASHES: dict[str, tuple[tuple[float, float] | None, tuple[float, float], tuple[float, float]]] = {
    "light": ((0.55, 0.62), (0.14, 0.32), (0.72, 0.87)),
    "medium": ((0.56, 0.63), (0.32, 0.55), (0.47, 0.64)),
    "dark": ((0.58, 0.66), (0.35, 0.6), (0.2, 0.33)),
    "black": ((0.55, 0.75), (0.0, 0.14), (0.07, 0.16)),
    "grey": ((0.5, 0.7), (0.0, 0.08), (0.36, 0.6)),
    "white": ((0.08, 0.16), (0.0, 0.07), (0.87, 0.96)),
    "colored": (None, (0.4, 0.85), (0.35, 0.85)),
}
_CLOTHS: tuple[tuple[float, Colour], ...] = (
    (5, (0.09, 0.09, 0.1)), (3, (0.11, 0.13, 0.22)), (2, (0.3, 0.31, 0.33)),
    (2, (0.55, 0.55, 0.57)), (2.5, (0.72, 0.63, 0.49)), (1.5, (0.83, 0.78, 0.68)),
    (1.5, (0.36, 0.37, 0.25)), (1, (0.34, 0.24, 0.18)), (0.8, (0.38, 0.1, 0.16)),
    (0.8, (0.92, 0.91, 0.88)), (0.6, (0.75, 0.13, 0.13)), (0.6, (0.83, 0.16, 0.42)),
    (0.5, (0.18, 0.42, 0.3)), (0.7, (0.16, 0.32, 0.62)), (0.4, (0.85, 0.62, 0.15)),
    (0.4, (0.45, 0.3, 0.55)), (0.4, (0.35, 0.62, 0.72)), (0.4, (0.88, 0.6, 0.62)),
)  # fmt: skip


def cloth_colour(rng: Rng, category: str, wash: str | None, style: str) -> Colour:
    """RGB in 0..1: the wash for denim, else a colour that such garments are sold in."""
    if wash is not None:
        hue, saturation, value = _WASHES[wash]
        where = (0.0, 0.52) if hue is None else hue
        drawn = colorsys.hsv_to_rgb(
            float(rng.uniform(*where)), float(rng.uniform(*saturation)), float(rng.uniform(*value))
        )
        # Coloured denim is rarely blue: from red through green, and now and then purple.
        return drawn if hue is not None or rng.random() < 0.8 else (drawn[1], drawn[2], drawn[0])
    weights = np.array([w for w, _ in _CLOTHS])
    if category == "leggings" or style == "dress":
        weights[:4] *= 2.5
    base = _CLOTHS[int(rng.choice(len(_CLOTHS), p=weights / weights.sum()))][1]
    jitter = rng.normal(0, 0.03, 3) + rng.normal(0, 0.03)
    red, green, blue = np.clip(np.array(base) + jitter, 0.03, 0.97)
    return float(red), float(green), float(blue)


def accent_colour(rng: Rng, colour: Colour) -> Colour:
    """A second colour for prints, stripes and cords that stands out from ``colour``."""
    if rng.random() < 0.45:
        light = sum(colour) / 3 < 0.55
        tone = float(rng.uniform(0.85, 0.97) if light else rng.uniform(0.05, 0.2))
        return (tone, tone, tone)
    value = rng.uniform(0.6, 0.95) if sum(colour) / 3 < 0.5 else rng.uniform(0.15, 0.6)
    drawn = colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0.3, 0.9)), float(value))
    if abs(sum(drawn) - sum(colour)) < 0.75:
        # Saturated blue on navy is a print that nobody sees.
        return mix(drawn, (0.95, 0.95, 0.95) if sum(colour) < 1.6 else BLACK, 0.55)
    return drawn


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """``share`` of ``other`` in ``one``."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, other, strict=True))
    return red, green, blue

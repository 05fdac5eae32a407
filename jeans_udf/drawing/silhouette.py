"""The outline of a bottom garment: which pixel lies how far across and along which leg."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from jeans_udf.drawing.measures import measures
from jeans_udf.drawing.noise import Rng, rise, wave
from jeans_udf.drawing.plan import Plan

MARGIN = 5.0
"""cm of empty cloth around a garment's outline on its sheet: hems fray and cuffs flare into it."""


Spot = tuple[float, float]


@dataclass
class Leg:
    """Edges of one leg in px, one value a row of the sheet; ``hem`` is its row at the centre."""

    left: np.ndarray
    right: np.ndarray
    hem: float
    tilt: float

    @property
    def centre(self) -> np.ndarray:
        return (self.left + self.right) / 2


@dataclass
class Outline:
    """A garment's sheet of ``height`` x ``width`` px at ``scale`` px a cm, waist up."""

    scale: float
    height: int
    width: int
    waist: float
    crotch: float
    left: np.ndarray
    right: np.ndarray
    legs: tuple[Leg, Leg]
    front: int
    dip: float
    shapes: dict[str, float] = field(default_factory=dict)

    @property
    def middle(self) -> np.ndarray:
        return (self.left + self.right) / 2

    def spot(self, across: float, down: float) -> Spot:
        """px of a spot on the body: ``across`` -1..1, ``down`` cm below the waist's edge."""
        y = self.waist + down * self.scale
        row = int(np.clip(y, 0, self.height - 1))
        half = (self.right[row] - self.left[row]) / 2
        sag = self.dip * (1 - across**2) if self.dip > 0 else -self.dip * across**2
        return float(self.middle[row] + across * half), float(y + sag)

    def band(self, down: float, reach: float = 1.0) -> list[Spot]:
        """A line across the body ``down`` cm below the waist's edge."""
        return [self.spot(a, down) for a in np.linspace(-reach, reach, 13)]

    def leg_spot(self, side: int, across: float, down: float) -> Spot:
        """px of a spot on a leg: ``down`` 0 at the crotch, 1 at the hem."""
        leg = self.legs[side]
        y = self.crotch + down * (leg.hem - self.crotch)
        row = int(np.clip(y, 0, self.height - 1))
        half = (leg.right[row] - leg.left[row]) / 2
        return float(leg.centre[row] + across * half), float(y + leg.tilt * across * half * down)

    def leg_line(self, side: int, across: float, start: float, end: float) -> list[Spot]:
        """A line along a leg."""
        return [self.leg_spot(side, across, d) for d in np.linspace(start, end, 12)]

    def inseam(self, side: int) -> float:
        """cm from the crotch to the hem as drawn."""
        return (self.legs[side].hem - self.crotch) / self.scale


@dataclass(frozen=True)
class Stance:
    """Where the feet are, in cm from the body's middle; ``lift`` raises a foot, as in a step."""

    feet: tuple[float, float] = (9.0, 9.0)
    lift: tuple[float, float] = (0.0, 0.0)
    bend: tuple[float, float] = (0.0, 0.0)
    front: int = 0


def cuff_height(outline: Outline) -> float:
    """cm of the turned-up hem: a share of the leg, so that hot pants keep some leg."""
    return float(min(4.8, 0.3 * outline.shapes["inseam"] + 1.2))


def cargo_span(plan: Plan) -> tuple[float, float]:
    """Where the side pockets begin and end, as shares of the leg."""
    return (0.3, 0.8) if plan.length == "short" else (0.2, 0.46)


def outline(
    plan: Plan, rng: Rng, scale: float, stance: Stance | None = None, wide: float = 1.0
) -> Outline:
    """Lay out a garment of ``plan``; with a ``stance`` its legs follow a person's, who is
    ``wide`` times as broad as usual."""
    size = measures(plan, rng)
    worn = stance is not None
    stretch = wide if worn else float(rng.uniform(0.8, 1.06))
    across = scale * stretch
    centres = [_centre_at_hem(plan, size, rng, stance, side, stretch) for side in (0, 1)]
    reach = max(abs(c) for c in centres) + size["hem"] * 0.75 + MARGIN
    width = int(2 * across * max(reach, size["hip"] / 2 + MARGIN, size["thigh"] + MARGIN))
    height = int(scale * (size["rise"] + size["inseam"] + 2 * MARGIN))
    waist, crotch = MARGIN * scale, (MARGIN + size["rise"]) * scale
    rows = np.arange(height, dtype=np.float32)
    legs = tuple(
        _leg(size, rng, side, centres[side], (rows, waist, crotch, scale, across, width), stance)
        for side in (0, 1)
    )
    drop = np.clip((rows - waist) / (crotch - waist), -0.2, 1.3)
    half = np.interp(drop, [-0.2, 0, 0.62, 1.0, 1.3],
                     np.array([size["waist"], size["waist"], size["hip"], size["hip"] * 1.0,
                               size["hip"] * 0.98]) / 2)  # fmt: skip
    half = _ease(half * across, scale * 6)
    wobble = wave(rng, height, 9 * scale) * (0.12 if worn else 0.35) * scale
    body = np.float32(width / 2) + wobble
    dip = 0.8 if worn else float(rng.uniform(0.8, 3.4))
    if plan.back:
        dip = -1.2
    # The outer seam runs on from the body into the leg without a step.
    leave = rise(rows, crotch - scale, crotch + 7 * scale)
    legs[0].left += (body - half - legs[0].left) * (1 - leave)
    legs[1].right += (body + half - legs[1].right) * (1 - leave)
    front = stance.front if stance else int(rng.integers(2))
    return Outline(
        scale, height, width, waist, crotch, body - half, body + half, (legs[0], legs[1]), front,
        dip * scale, size,
    )  # fmt: skip


def _centre_at_hem(
    plan: Plan, size: dict[str, float], rng: Rng, stance: Stance | None, side: int, stretch: float
) -> float:
    sign = -1 if side == 0 else 1
    thigh = size["hip"] / 4
    if stance is not None:
        share = size["inseam"] / 76.0
        foot = thigh + (stance.feet[side] - thigh) * share
        return sign * max(foot, 0.36 * size["hem"] if plan.length != "short" else 0)
    near = thigh + rng.uniform(-2.5, 6.5) * min(size["inseam"] / 60, 1)
    # Wide hems would cross: laid out by hand they touch or lie a little over each other.
    apart = size["hem"] / 2 + rng.uniform(-1.5, 3.5)
    if plan.length == "short":
        near = thigh + size["inseam"] * rng.uniform(0.05, 0.3)
    return sign * max(near, apart)


def _leg(
    size: dict[str, float], rng: Rng, side: int, centre_hem: float,
    grid: tuple[np.ndarray, float, float, float, float, int], stance: Stance | None,
) -> Leg:  # fmt: skip
    rows, waist, crotch, scale, across, width = grid
    sign = -1 if side == 0 else 1
    lift = (stance.lift[side] if stance else rng.normal(0, 0.7)) * scale
    length = size["inseam"] * scale - lift
    t = (rows - crotch) / length
    top = size["hip"] / 2
    start = min(8 * scale / length, 0.5 * size["knee_at"])
    widths = np.interp(
        t, [-0.5, 0.0, start, size["knee_at"], 1.0],
        [top, top, max(size["thigh"], 0), size["knee"], size["hem"]],
    )  # fmt: skip
    if stance is not None and size["hem"] < 12 and size["inseam"] > 45:
        # A calf shows through tight cloth.
        widths = widths + 1.6 * np.exp(-(((t - 0.66) / 0.12) ** 2))
    widths = _ease(widths * across, max(0.09 * length, 2))
    centre = np.interp(t, [-0.3, 0.0, 1.0], [sign * top / 2, sign * top / 2, centre_hem]) * across
    bend = (stance.bend[side] if stance else rng.normal(0, size["bend"])) * across
    knee = np.exp(-(((t - size["knee_at"]) / 0.28) ** 2))
    if size["inseam"] > 35:
        centre = centre + bend * knee * rise(t, 0.0, 0.35)
    rough = 0.16 if stance is not None else 0.4
    edges = [wave(rng, len(rows), 7 * scale) * rough * scale * rise(t, -0.2, 0.2) for _ in "lr"]
    middle = width / 2 + centre
    slope = (np.interp(1.0, t, centre) - np.interp(0.8, t, centre)) / (0.2 * length)
    return Leg(
        (middle - widths / 2 + edges[0]).astype(np.float32),
        (middle + widths / 2 + edges[1]).astype(np.float32),
        float(crotch + length),
        float(np.clip(-slope, -0.22, 0.22) + rng.normal(0, 0.03)),
    )


def _ease(values: np.ndarray, window: float) -> np.ndarray:
    size = max(int(window) | 1, 3)
    padded = np.pad(values, size // 2, mode="edge")
    return np.convolve(padded, np.full(size, 1 / size), mode="valid").astype(np.float32)

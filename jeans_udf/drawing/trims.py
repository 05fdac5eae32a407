"""The vocabulary's details that are sewn, cut or printed: pockets, rips, cords, decoration."""

from __future__ import annotations

import numpy as np

from jeans_udf.drawing.canvas import Pen, curve
from jeans_udf.drawing.colours import BLACK, GOLD, Colour, mix
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import DENIM, Plan
from jeans_udf.drawing.silhouette import Outline, cargo_span

WHITE: Colour = (0.93, 0.93, 0.91)


def cargo_pockets(plan: Plan, pen: Pen, outline: Outline) -> None:
    """Bellows pockets with a flap on the outside of the thighs."""
    scale, dark = outline.scale, mix(plan.colour, BLACK, 0.75)
    low, high = cargo_span(plan)
    for side, sign in ((0, -1), (1, 1)):
        inner, outer = sign * 0.12, sign * 1.08
        corners = [(inner, low), (outer, low), (outer, high), (inner, high)]
        bag = [outline.leg_spot(side, a, d) for a, d in corners]
        pen.polygon([(x - sign * 0.9 * scale, y + 0.9 * scale) for x, y in bag], BLACK, 0.2)
        pen.polygon(bag, mix(plan.colour, (1, 1, 1), 0.07), 0.75)
        pen.line([*bag, bag[0]], dark, 0.35 * scale, 0.7)
        fold = (low + high) / 2
        pleat = [outline.leg_spot(side, (inner + outer) / 2, d) for d in (fold, high)]
        pen.line(pleat, dark, 0.3 * scale, 0.4)
        drop = low + (high - low) * 0.32
        flap = [outline.leg_spot(side, a, d) for a, d in
                ((inner - sign * 0.04, low - 0.01), (outer, low - 0.01), (outer, drop),
                 ((inner + outer) / 2, drop + 0.015), (inner - sign * 0.04, drop))]  # fmt: skip
        pen.polygon([(x, y + 0.6 * scale) for x, y in flap], BLACK, 0.45)
        pen.polygon(flap, mix(plan.colour, (1, 1, 1), 0.12))
        pen.line([*flap, flap[0]], dark, 0.3 * scale, 0.6)
        pen.spot(*outline.leg_spot(side, (inner + outer) / 2, drop - 0.03), 0.55 * scale, dark)


def rips(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    """Holes with frayed rims, and the white weft threads that still span them."""
    short = plan.length == "short"
    skin = (0.72, 0.52, 0.4) if plan.view == "worn" else mix(plan.colour, BLACK, 0.62)
    spots = [(0, 0.5), (1, 0.47), (0, 0.26), (1, 0.3), (1, 0.68)]
    count = int(rng.integers(2, 5)) if not short else int(rng.integers(2, 4))
    if short:
        spots = [(0, 0.1), (1, 0.3), (0, 0.55)]
    for side, at in spots[:count]:
        centre = outline.leg_spot(side, float(rng.uniform(-0.35, 0.35)), at + rng.normal(0, 0.04))
        leg = outline.legs[side]
        row = int(np.clip(centre[1], 0, outline.height - 1))
        half = (leg.right[row] - leg.left[row]) / 2
        wide = half * rng.uniform(0.35, 0.68)
        tall = outline.scale * rng.uniform(1.4, 4.2 if not short else 2.6)
        _rip(rng, pen, outline.scale, centre, (wide, tall), skin)


def _rip(
    rng: Rng, pen: Pen, scale: float, centre: tuple[float, float], size: tuple[float, float],
    hole: Colour,
) -> None:  # fmt: skip
    turns = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    rough = rng.uniform(0.75, 1.15, len(turns))

    def ring(grow: float) -> list[tuple[float, float]]:
        lens = np.sign(np.sin(turns)) * np.abs(np.sin(turns)) ** 0.7
        xs = centre[0] + np.cos(turns) * (size[0] + grow) * rough
        ys = centre[1] + lens * (size[1] + grow) * rough
        return list(zip(xs.tolist(), ys.tolist(), strict=True))

    pen.polygon(ring(0.9 * scale), WHITE, 0.55)
    pen.polygon(ring(0.35 * scale), WHITE)
    pen.polygon(ring(-0.1 * scale), hole)
    for y in np.arange(centre[1] - size[1], centre[1] + size[1], max(0.75 * scale, 1.6)):
        part = 1 - ((y - centre[1]) / size[1]) ** 2
        reach = size[0] * max(part, 0.05) ** 0.6
        if rng.random() < 0.72:
            sag = rng.normal(0, 0.4 * scale)
            ends = [(centre[0] - reach, y), (centre[0], y + sag), (centre[0] + reach, y)]
            pen.line(ends, WHITE, max(rng.uniform(0.25, 0.6) * scale, 0.8), 0.95)


def drawstring(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> Pen:
    """A gathered elastic band and a tied cord that hangs over the front."""
    scale, dark = outline.scale, mix(plan.colour, BLACK, 0.6)
    band = mix(plan.colour, (1, 1, 1) if rng.random() < 0.5 else BLACK, 0.1)
    if rng.random() < 0.15:
        band = plan.accent
    low = outline.band(4.4)
    # The band follows the dip of the front, and the back's inside shows above it.
    high = outline.band(0.0)
    pen.polygon([(x, outline.waist - 1.0 * scale) for x, _ in high] + high[::-1],
                mix(plan.colour, BLACK, 0.4))  # fmt: skip
    pen.polygon([*high, *low[::-1]], band)
    for at in np.arange(-0.98, 0.98, 0.045):
        at += rng.normal(0, 0.008)
        pen.line([outline.spot(at, 0.3), outline.spot(at, 4.2)], dark, 0.25 * scale, 0.55)
    for down in (0.2, 2.2, 4.3):
        pen.line(outline.band(down), dark, 0.25 * scale, 0.55)
    outside = Pen(outline.height, outline.width)
    if plan.category == "leggings" and rng.random() < 0.7:
        return outside
    tone = plan.accent if rng.random() < 0.5 else WHITE
    if sum(abs(a - b) for a, b in zip(tone, plan.colour, strict=True)) < 0.5:
        tone = WHITE if sum(plan.colour) < 1.5 else (0.1, 0.1, 0.12)
    for sign in (-1, 1):
        length = rng.uniform(7, 17)
        swing = rng.normal(0, 1.5)
        cord = [outline.spot(0.03 * sign, 2.2)]
        for share in (0.35, 0.7, 1.0):
            x, y = outline.spot(0.05 * sign, 2.2 + length * share)
            cord.append((x + (sign * 2.2 * share + swing * share**2) * scale, y))
        shadow = [(x + 0.4 * scale, y + 0.3 * scale) for x, y in curve(cord)]
        pen.line(shadow, BLACK, 0.6 * scale, 0.4)
        pen.line(curve(cord), tone, max(0.6 * scale, 1.2))
        pen.spot(*cord[-1], 0.6 * scale, mix(tone, BLACK, 0.2))
    for sign in (-1, 1):
        loop = [outline.spot(0, 2.2)] + [
            (outline.spot(0, 2.2)[0] + sign * dx * scale, outline.spot(0, 2.2)[1] + dy * scale)
            for dx, dy in ((2.4, -0.2), (3.2, 1.2), (1.4, 1.5))
        ]
        pen.line([*curve(loop), loop[0]], tone, max(0.5 * scale, 1.0))
    return outside


def _side_stripes(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    count = int(rng.integers(1, 4))
    tone = plan.accent
    for side, sign in ((0, -1), (1, 1)):
        for number in range(count):
            at = sign * (0.93 - number * 0.17)
            line = outline.leg_line(side, at, 0.1, 1.0)
            top = [outline.spot(sign * (0.97 - number * 0.085), d) for d in np.linspace(5, 20, 6)]
            pen.line(top + line, tone, max(1.3 * outline.scale * (0.8 if count > 1 else 1.6), 1))


def _studs(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    metal = (0.85, 0.85, 0.88) if rng.random() < 0.6 else GOLD
    size = max(0.45 * outline.scale, 1.0)
    for sign in (-1, 1):
        for number in range(8):
            for row in range(2):
                x, y = outline.spot(sign * (0.5 + number * 0.06), 12.6 + row * 1.6 + number * 0.2)
                pen.spot(x, y, size, mix(metal, BLACK, 0.4))
                pen.spot(x - size * 0.25, y - size * 0.25, size * 0.65, metal)
    side = int(rng.integers(2))
    for _ in range(24):
        spot = outline.leg_spot(side, rng.uniform(-0.7, 0.7), rng.uniform(0.08, 0.5))
        pen.spot(*spot, size * 0.8, metal)


def _embroidery(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    """Flowers on a stem, on one thigh or both."""
    sides = (0, 1) if rng.random() < 0.4 else (int(rng.integers(2)),)
    tones = [(0.8, 0.15, 0.2), (0.95, 0.75, 0.2), (0.9, 0.45, 0.6), (0.95, 0.95, 0.95), plan.accent]
    short = plan.length == "short"
    for side in sides:
        start, end = (0.1, 0.8) if short else (0.05, rng.uniform(0.3, 0.6))
        at = [rng.uniform(-0.4, 0.4) for _ in range(5)]
        stem = [outline.leg_spot(side, a, d) for a, d in
                zip(at, np.linspace(start, end, 5), strict=True)]  # fmt: skip
        pen.line(curve(stem), (0.25, 0.45, 0.2), max(0.5 * outline.scale, 1))
        for x, y in stem:
            tone = tones[int(rng.integers(len(tones)))]
            size = outline.scale * rng.uniform(1.0, 2.0)
            for turn in np.arange(5) * 1.2566 + rng.random():
                pen.spot(x + np.cos(turn) * size, y + np.sin(turn) * size, size * 0.75, tone)
            pen.spot(x, y, size * 0.5, (0.95, 0.85, 0.35))
            pen.spot(x + 2.2 * size, y + size, size * 0.5, (0.3, 0.5, 0.25))


def _patches(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    """Sewn-on patches of another cloth."""
    for _ in range(int(rng.integers(2, 5))):
        side = int(rng.integers(2))
        x, y = outline.leg_spot(side, rng.uniform(-0.35, 0.35), rng.uniform(0.08, 0.7))
        wide, tall = rng.uniform(2, 4.5, 2) * outline.scale
        tone = (float(rng.uniform(0.2, 0.95)), float(rng.uniform(0.1, 0.8)), float(rng.random()))
        corners = ((-wide, -tall), (wide, -tall), (wide, tall), (-wide, tall))
        box = [(x + dx, y + dy) for dx, dy in corners]
        pen.polygon(box, tone if plan.category not in DENIM or rng.random() < 0.7 else WHITE)
        pen.stitches([*box, box[0]], WHITE, max(0.3 * outline.scale, 0.8), 0.8 * outline.scale)


EMBELLISH = {
    "side_stripes": _side_stripes,
    "studs": _studs,
    "embroidery": _embroidery,
    "patches": _patches,
}

"""The sewing of jeans: top-stitching, fly, curved pockets, waistband with button, rivets, yoke."""

from __future__ import annotations

import numpy as np

from jeans_udf.drawing.canvas import Colour, Pen, curve
from jeans_udf.drawing.colours import BLACK, GOLD, mix
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import Plan
from jeans_udf.drawing.silhouette import Outline


def thread(plan: Plan, rng: Rng) -> Colour:
    """Orange-gold on blue denim, tonal on black, white and other cloth."""
    if plan.category in ("jeans", "denim_shorts") and plan.wash in ("light", "medium", "dark"):
        return mix((0.8, 0.56, 0.27), (0.9, 0.85, 0.75), float(rng.random()) * 0.7)
    return mix(plan.colour, (1, 1, 1) if sum(plan.colour) < 1.2 else BLACK, 0.3)


def denim_front(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    scale = outline.scale
    gold, fine = thread(plan, rng), max(0.22 * scale, 0.7)
    dash = max(0.5 * scale, 1.5)
    if "drawstring" not in plan.details:
        _waistband(plan, rng, pen, outline, gold, fine)
    show_inside(plan, rng, pen, outline)
    middle = [outline.spot(0.0, d) for d in np.linspace(4, outline.shapes["rise"] - 1.2, 8)]
    pen.line(middle, BLACK, 0.3 * scale, 0.45)
    fly = [outline.spot(0.15, d) for d in (4, 9, 12)] + [
        outline.spot(0.12, 14.5), outline.spot(0.01, 16.5),
    ]  # fmt: skip
    for inset in (0.0, 0.022):
        line = [(x - inset * 20 * scale, y) for x, y in curve(fly)]
        pen.stitches(line, gold, fine, dash)
    for sign in (-1, 1):
        scoop = [outline.spot(sign * a, d) for a, d in
                 ((0.46, 4.1), (0.5, 7.6), (0.62, 9.6), (0.8, 10.6), (0.99, 10.8))]  # fmt: skip
        pen.polygon(curve(scoop) + [outline.spot(sign * 0.99, 4.1)], BLACK, 0.06)
        pen.line(curve(scoop), BLACK, 0.35 * scale, 0.4)
        for inset in (0.5, 1.1):
            line = [(x, y + inset * scale) for x, y in curve(scoop)]
            pen.stitches(line, gold, fine, dash)
        for a, d in ((0.47, 5.0), (0.95, 11.3)):
            pen.spot(*outline.spot(sign * a, d), max(0.35 * scale, 0.8), GOLD)
    coin = [outline.spot(a, d) for a, d in ((0.62, 9.2), (0.62, 6.4), (0.86, 6.4), (0.86, 10.2))]
    pen.stitches(coin, gold, fine, dash)
    _denim_legs(plan, pen, outline, gold, fine, dash)


def _denim_legs(
    plan: Plan, pen: Pen, outline: Outline, gold: Colour, fine: float, dash: float
) -> None:
    for side, sign in ((0, -1), (1, 1)):
        pen.line(outline.leg_line(side, -sign * 0.93, 0.03, 0.96), BLACK, 1.0, 0.3)
        pen.stitches(outline.leg_line(side, -sign * 0.88, 0.03, 0.95), gold, fine, dash)
        pen.line(outline.leg_line(side, sign * 0.96, 0.0, 0.97), BLACK, 1.0, 0.25)
        pen.stitches([outline.spot(sign * 0.95, d) for d in np.linspace(11, 19, 5)],
                     gold, fine, dash)  # fmt: skip
        if not {"raw_hem", "cuffed"} & set(plan.details):
            length = (outline.legs[side].hem - outline.crotch) / outline.scale
            at = 1 - 1.6 / max(length, 3)
            hem = [outline.leg_spot(side, a, at) for a in np.linspace(-0.97, 0.97, 7)]
            pen.stitches(hem, gold, fine, dash)


def denim_back(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    scale, gold = outline.scale, thread(plan, rng)
    fine, dash = max(0.22 * scale, 0.7), max(0.5 * scale, 1.5)
    pen.line(outline.band(4.0), BLACK, 0.3 * scale, 0.4)
    pen.stitches(outline.band(3.6), gold, fine, dash)
    pen.stitches(outline.band(0.6), gold, fine, dash)
    yoke = [outline.spot(a, 7 + 4 * (1 - abs(a))) for a in np.linspace(-0.98, 0.98, 9)]
    pen.line(yoke, BLACK, 0.3 * scale, 0.35)
    pen.stitches([(x, y - 0.5 * scale) for x, y in yoke], gold, fine, dash)
    seam = [outline.spot(0.0, d) for d in np.linspace(4, outline.shapes["rise"] - 1, 8)]
    pen.line(seam, BLACK, 0.3 * scale, 0.4)
    pen.stitches([(x + 0.4 * scale, y) for x, y in seam], gold, fine, dash)
    arc = rng.uniform(-1.5, 1.5)
    for sign in (-1, 1):
        corners = ((0.2, 11.5), (0.78, 10.5), (0.78, 20), (0.5, 22.5), (0.22, 20.5))
        pocket = [outline.spot(sign * a, d) for a, d in corners]
        pen.polygon(pocket, BLACK, 0.1)
        pen.line([*pocket, pocket[0]], BLACK, 0.35 * scale, 0.45)
        pen.stitches([*pocket, pocket[0]], gold, fine, dash)
        swoop = [outline.spot(sign * a, d) for a, d in
                 ((0.24, 15), (0.4, 15.5 + arc), (0.5, 17), (0.62, 15.3 + arc), (0.76, 14.6))]
        pen.stitches(curve(swoop), gold, fine, dash)
    patch = [outline.spot(a, d) for a, d in ((0.5, 0.4), (0.82, 0.4), (0.82, 4.6), (0.5, 4.6))]
    pen.polygon(patch, mix((0.55, 0.33, 0.17), (0.75, 0.6, 0.4), float(rng.random())))
    _denim_legs(plan, pen, outline, gold, fine, dash)


def _waistband(
    plan: Plan, rng: Rng, pen: Pen, outline: Outline, gold: Colour, fine: float
) -> None:
    scale = outline.scale
    pen.line(outline.band(4.0), BLACK, 0.35 * scale, 0.5)
    for down in (0.6, 3.5):
        pen.stitches(outline.band(down), gold, fine, max(0.5 * scale, 1.5))
    tone = mix(plan.colour, BLACK, 0.25)
    for at in (-0.78, -0.38, 0.38, 0.78):
        loop = [outline.spot(at, -0.3), outline.spot(at, 4.6)]
        pen.line(loop, tone, 1.3 * scale)
        pen.line([(x - 0.55 * scale, y) for x, y in loop], gold, fine, 0.7)
    metal = GOLD if rng.random() < 0.6 else (0.75, 0.76, 0.78)
    x, y = outline.spot(0.03, 2.1)
    pen.spot(x, y, 1.1 * scale, mix(metal, BLACK, 0.45))
    pen.spot(x, y, 0.8 * scale, metal)


def show_inside(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    """Laid flat, the front band dips and shows the back band's inside with its label."""
    if plan.view == "worn" or outline.dip <= 0 or plan.back:
        return
    scale = outline.scale
    front = [outline.spot(a, 0.0) for a in np.linspace(-1, 1, 13)]
    back = [(x, outline.waist - 0.6 * scale) for x, _ in reversed(front)]
    pen.polygon([*front, *back], mix(plan.colour, BLACK, 0.45))
    if rng.random() < 0.6 and outline.dip > 1.6 * scale:
        x, y = outline.middle[int(outline.waist)], outline.waist + 0.3 * scale
        label = [(x - 2.4 * scale, y), (x + 2.4 * scale, y), (x + 2.2 * scale, y + 1.3 * scale),
                 (x - 2.2 * scale, y + 1.3 * scale)]  # fmt: skip
        pen.polygon(label, (0.85, 0.83, 0.78) if rng.random() < 0.6 else (0.1, 0.1, 0.1))

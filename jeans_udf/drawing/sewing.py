"""What is sewn on a garment, by its build; the details that the vocabulary names come last."""

from __future__ import annotations

import numpy as np

from jeans_udf.drawing.canvas import Colour, Pen
from jeans_udf.drawing.colours import BLACK, mix
from jeans_udf.drawing.denim import denim_back, denim_front, show_inside
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import Plan
from jeans_udf.drawing.silhouette import Outline
from jeans_udf.drawing.trims import EMBELLISH, cargo_pockets, drawstring, rips


def sew(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> Pen | None:
    """Draw all sewing with ``pen``; returns a second pen for what hangs out of the outline."""
    if plan.embellishment is not None:
        EMBELLISH[plan.embellishment](plan, rng, pen, outline)
    if plan.style == "denim":
        (denim_back if plan.back else denim_front)(plan, rng, pen, outline)
    elif plan.style in ("chino", "dress"):
        _tailored(plan, rng, pen, outline)
    elif plan.category != "leggings":
        _slant_pockets(plan, pen, outline)
    else:
        _seams(plan, pen, outline, BLACK, 0.12)
    if "cargo" in plan.details:
        cargo_pockets(plan, pen, outline)
    if "distressed" in plan.details:
        rips(plan, rng, pen, outline)
    outside = None
    if "drawstring" in plan.details:
        outside = drawstring(plan, rng, pen, outline)
    elif plan.category == "leggings":
        pen.line(outline.band(5.0), BLACK, 1.0, 0.3)
    return outside


def _seams(plan: Plan, pen: Pen, outline: Outline, colour: Colour, alpha: float) -> None:
    """Outer seam, from the waist down, at the very rim."""
    for side, sign in ((0, -1), (1, 1)):
        body = [outline.spot(sign * 0.94, d) for d in np.linspace(4, 20, 6)]
        pen.line(body + outline.leg_line(side, sign * 0.9, 0.06, 0.97), colour, 1.0, alpha)


def _tailored(plan: Plan, rng: Rng, pen: Pen, outline: Outline) -> None:
    """Chinos and dress trousers: band, fly, slanted pockets; a crease on the dressy ones."""
    scale, dark = outline.scale, mix(plan.colour, BLACK, 0.6)
    light = mix(plan.colour, (1, 1, 1), 0.3)
    show_inside(plan, rng, pen, outline)
    pen.line(outline.band(3.8), dark, 0.3 * scale, 0.6)
    fly = [outline.spot(0.0, d) for d in np.linspace(4, 18, 6)]
    pen.line(fly, dark, 0.3 * scale, 0.6)
    pen.line([outline.spot(a, d) for a, d in ((0.14, 4), (0.13, 13), (0.02, 17))], dark, 1, 0.4)
    if plan.style == "chino":
        pen.spot(*outline.spot(0.02, 1.9), 0.75 * scale, mix(plan.colour, BLACK, 0.5))
        for at in (-0.7, -0.35, 0.35, 0.7):
            loop = [outline.spot(at, -0.2), outline.spot(at, 4.3)]
            pen.line(loop, mix(plan.colour, BLACK, 0.2), 1.1 * scale)
            pen.line([(x - 0.5 * scale, y) for x, y in loop], light, 1, 0.6)
    _slant_pockets(plan, pen, outline)
    _seams(plan, pen, outline, dark, 0.35)
    if plan.style == "dress":
        for side in (0, 1):
            crease = outline.leg_line(side, 0.0, 0.0 if plan.length == "short" else -0.12, 0.98)
            pen.line(crease, dark, 0.3 * scale, 0.5)
            pen.line([(x - 0.3 * scale, y) for x, y in crease], light, 0.3 * scale, 0.45)
    elif not {"raw_hem", "cuffed"} & set(plan.details):
        _hem_line(pen, outline, dark)


def _slant_pockets(plan: Plan, pen: Pen, outline: Outline) -> None:
    dark = mix(plan.colour, BLACK, 0.7)
    for sign in (-1, 1):
        slit = [outline.spot(sign * a, d) for a, d in ((0.62, 4.4), (0.8, 12), (0.93, 17))]
        pen.line(slit, dark, 0.35 * outline.scale, 0.65)
        pen.line([(x, y + 0.7 * outline.scale) for x, y in slit], dark, 1, 0.25)
    if plan.style == "jersey":
        _hem_line(pen, outline, dark)


def _hem_line(pen: Pen, outline: Outline, colour: Colour) -> None:
    for side in (0, 1):
        at = 1 - 2.4 / max(outline.inseam(side), 4)
        line = [outline.leg_spot(side, a, at) for a in np.linspace(-0.97, 0.97, 7)]
        pen.line(line, colour, 1, 0.35)

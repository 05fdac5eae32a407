"""A simple drawn person or mannequin who wears the garment: nobody's likeness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from jeans_udf.drawing.canvas import Canvas, curve, shape_mask
from jeans_udf.drawing.colours import BLACK, Colour, cloth_colour, mix
from jeans_udf.drawing.garment import draw_garment
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import Plan
from jeans_udf.drawing.silhouette import Stance, outline
from jeans_udf.drawing.things import ribbon, solid, textile

SKINS: tuple[Colour, ...] = (
    (0.92, 0.76, 0.66), (0.86, 0.66, 0.54), (0.74, 0.53, 0.4), (0.55, 0.37, 0.27),
    (0.38, 0.25, 0.18),
)  # fmt: skip
DUMMIES: tuple[Colour, ...] = ((0.93, 0.92, 0.9), (0.25, 0.25, 0.27), (0.85, 0.75, 0.65))
WAIST, CROTCH = 103.0, 79.0
"""cm above the ground; shoes and ankles take the last 3 cm below a full-length hem."""


@dataclass(frozen=True)
class Figure:
    """A standing body: ``x`` of its middle and ``ground`` in px, ``scale`` px a cm."""

    x: float
    ground: float
    scale: float
    stance: Stance
    skin: Colour
    wide: float
    dummy: bool

    def at(self, across: float, high: float) -> tuple[float, float]:
        """px of a spot ``across`` cm to the right of the middle, ``high`` cm above the ground."""
        return self.x + across * self.scale * self.wide, self.ground - high * self.scale


def draw_person(
    canvas: Canvas, rng: Rng, garment: tuple[Plan, Rng, int] | None, x: float, ground: float,
    scale: float, dummy: bool, dressed: str | None = None,
) -> None:  # fmt: skip
    """Paint a person; ``garment`` is plan, generator and owner number; ``dressed`` a dress's or
    skirt's name for people without a bottom garment."""
    figure = _figure(rng, x, ground, scale, dummy)
    parts = [np.random.default_rng(seed) for seed in rng.integers(2**62, size=6)]
    _ground_shadow(canvas, figure)
    plan = garment[0] if garment else None
    shoes = _footwear(parts[0], plan)
    _legs(canvas, parts[1], figure)
    if shoes != "over":
        _shoes(canvas, parts[0], figure, shoes)
    if garment is not None:
        _wear(canvas, figure, *garment)
    if shoes == "over":
        _shoes(canvas, parts[0], figure, shoes)
    cover = _cover(parts[2], plan)
    hair = mix((0.12, 0.08, 0.06), (0.85, 0.65, 0.4), float(parts[4].random() ** 1.6))
    if not dummy:
        _long_hair(canvas, parts[4], figure, hair)
    top = _top(parts[2])
    _torso(canvas, parts[2], figure, cover, dressed, top)
    _arms(canvas, parts[3], figure, top, plan)
    _head(canvas, parts[4], figure, hair)
    if garment is not None:
        _extras(canvas, parts[5], figure, garment[0])


def _figure(rng: Rng, x: float, ground: float, scale: float, dummy: bool) -> Figure:
    stances = (
        Stance((rng.uniform(6, 9), rng.uniform(6, 9))),
        Stance((rng.uniform(9, 17), rng.uniform(9, 17))),
        Stance((4.0, rng.uniform(8, 14)), (0, rng.uniform(2, 6)), (0, rng.uniform(0, 5)), 0),
        Stance((rng.uniform(8, 14), 3.0), (rng.uniform(2, 6), 0), (-rng.uniform(0, 5), 0), 1),
        Stance((-3.0, 9.0), (0, 2.0), (0, 0), 0),
    )
    stance = stances[int(rng.choice(5, p=[0.3, 0.3, 0.17, 0.17, 0.06]))]
    if dummy:
        stance = stances[0]
    skin = (DUMMIES if dummy else SKINS)[int(rng.integers(3 if dummy else 5))]
    return Figure(x, ground, scale, stance, skin, float(rng.uniform(0.9, 1.12)), dummy)


def _ground_shadow(canvas: Canvas, figure: Figure) -> None:
    spots = [figure.at(a, h) for a, h in ((-22, 3), (0, 6), (24, 3), (22, -5), (0, -7), (-20, -4))]
    alpha, at = shape_mask(curve(spots, closed=True))
    canvas.shadow(alpha, at, (0, 0), 3.5 * figure.scale, 0.5)


def _foot(figure: Figure, side: int) -> tuple[float, float]:
    """Ankle's place, cm: signed distance from the middle and height of the sole."""
    sign = -1 if side == 0 else 1
    return sign * figure.stance.feet[side], figure.stance.lift[side] * 0.9


def _legs(canvas: Canvas, rng: Rng, figure: Figure) -> None:
    for side, sign in ((0, -1), (1, 1)):
        foot, lift = _foot(figure, side)
        bend = figure.stance.bend[side]
        knee = sign * 8.6 * 0.54 + foot * 0.46 + bend
        path = [figure.at(sign * 8.6, CROTCH + 4), figure.at((sign * 8.6 + knee) / 2, 64),
                figure.at(knee, 46 + lift / 2), figure.at((knee + foot) / 2, 28 + lift),
                figure.at(foot, 5 + lift)]  # fmt: skip
        widths = tuple(w * figure.scale * figure.wide for w in (16.5, 14.2, 10, 10, 6.2))
        solid(canvas, ribbon(path, widths), rng, figure.skin, depth=0.45, radius=3.5 * figure.scale)


def _footwear(rng: Rng, plan: Plan | None) -> str:
    narrow = plan is None or plan.fit in ("skinny", None) or plan.length == "short"
    hem_shown = plan is not None and {"cuffed", "raw_hem"} & set(plan.details)
    if narrow and not hem_shown and rng.random() < 0.3:
        return "over"
    return str(rng.choice(["sneaker", "pump", "shoe"]))


def _shoes(canvas: Canvas, rng: Rng, figure: Figure, kind: str) -> None:
    tone = cloth_colour(rng, "leggings", None, "dress") if rng.random() < 0.8 else (0.92, 0.92, 0.9)
    high = {"over": rng.uniform(14, 30), "pump": 5.0}.get(kind, 8.0)
    for side, sign in ((0, -1), (1, 1)):
        foot, lift = _foot(figure, side)
        out = sign * rng.uniform(0.5, 3.0)
        shaft = [(foot - 3.8, high), (foot - 4.4, 6), (foot - 4.8 + out, 1), (foot - 4 + out, -2.5),
                 (foot + out, -3.4), (foot + 4 + out, -2.5), (foot + 4.8 + out, 1),
                 (foot + 4.4, 6), (foot + 3.8, high)]  # fmt: skip
        shape = [figure.at(a, h + lift) for a, h in shaft]
        solid(canvas, curve(shape), rng, tone, depth=0.5, radius=2.5 * figure.scale)
        if kind == "sneaker":
            sole = [(foot - 4.9 + out, 0), (foot - 4 + out, -2.6), (foot + out, -3.5),
                    (foot + 4 + out, -2.6), (foot + 4.9 + out, 0), (foot + out, -1.6)]  # fmt: skip
            solid(canvas, [figure.at(a, h + lift) for a, h in sole], rng, (0.93, 0.93, 0.92),
                  depth=0.15, radius=2)  # fmt: skip


def _wear(canvas: Canvas, figure: Figure, plan: Plan, rng: Rng, owner: int) -> None:
    shape = outline(plan, rng, figure.scale, figure.stance, figure.wide)
    cutout = draw_garment(plan, rng, shape, (-0.7, -0.4))
    waist = figure.ground - WAIST * figure.scale
    corner = (round(figure.x - shape.width / 2), round(waist - shape.waist))
    canvas.shadow(cutout.alpha * 0.6, corner, (0, 2.0 * figure.scale), 2 * figure.scale, 0.35)
    canvas.paint(cutout.rgb, cutout.alpha, corner, owner)


def _cover(rng: Rng, plan: Plan | None) -> float:
    """cm by which the top hangs below the waist; a drawstring must stay in sight."""
    draw = rng.random()
    if plan is None:
        return 3.0
    if "drawstring" in plan.details or draw < 0.25:
        return -1.0
    if plan.length == "short":
        return float(rng.uniform(2, 9))
    if plan.category == "leggings" and draw > 0.45:
        return float(rng.uniform(16, 36))
    return float(rng.uniform(2, 20))


def _top(rng: Rng) -> dict[str, Any]:
    """How the cloth of the top is drawn: the same for its body and its sleeves."""
    style = str(rng.choice(["jersey", "chino", "dress", "denim"], p=[0.5, 0.25, 0.2, 0.05]))
    wash = "medium" if style == "denim" else None
    colour = cloth_colour(rng, "jeans" if wash else "shorts", wash, style)
    return {"style": style, "colour": colour, "pattern": bool(rng.random() < 0.25)}


def _torso(
    canvas: Canvas, rng: Rng, figure: Figure, cover: float, dressed: str | None,
    top: dict[str, Any],
) -> None:  # fmt: skip
    hem = WAIST - cover
    flare = max(cover, 0) * 0.12
    half = [(4.5, 147), (12, 145), (18.5, 141), (17.2, 128), (15.2, 115)]
    if cover > 0:
        half += [(17.5 + flare, min(96, hem + 5)), (18.6 + flare, hem)]
    else:
        half += [(14.6, hem)]
    if dressed is not None:
        end = rng.uniform(10, 66)
        hip = rng.uniform(17.5, 20)
        half = [*half[:4], (14.5, 108), (hip, 88), (hip + rng.uniform(-1, 14), end)]
    right = [figure.at(a, h) for a, h in half]
    left = [figure.at(-a, h) for a, h in reversed(half)]
    bottom = [figure.at(0, half[-1][1] - 1.5)]
    outline_points = curve([*left, *right][: len(left)]) + curve(right) + bottom
    solid(canvas, outline_points, rng, top["colour"], depth=0.4, radius=6 * figure.scale,
          scale=figure.scale, style=top["style"], patterned=float(top["pattern"]),
          shadow=0.35)  # fmt: skip
    if dressed == "skirt":
        hips = [(14.6, WAIST + 1), (18.5, 88), (20 + rng.uniform(0, 8), end)]
        points = [figure.at(-a, h) for a, h in reversed(hips)] + [figure.at(a, h) for a, h in hips]
        solid(canvas, points, rng, depth=0.4, radius=6 * figure.scale, scale=figure.scale,
              style=str(rng.choice(["denim", "dress"])), patterned=0.4)  # fmt: skip


def _arms(
    canvas: Canvas, rng: Rng, figure: Figure, top: dict[str, Any], plan: Plan | None
) -> None:
    sleeve = top["colour"]
    bare = rng.random() < 0.35
    for sign in (-1, 1):
        pose = str(rng.choice(["down", "down", "hip", "belly", "out"]))
        elbow, hand = {
            "down": ((22.5, 116), (22.5 + rng.uniform(-3, 2), 88)),
            "hip": ((30, 118), (17, 100)),
            "belly": ((22, 114), (rng.uniform(2, 10), rng.uniform(106, 116))),
            "out": ((26, 117), (32, 94)),
        }[pose]
        path = [figure.at(sign * a, h) for a, h in ((16.8, 140), elbow, hand)]
        widths = tuple(w * figure.scale for w in ((8.0, 7.0, 5.0) if bare else (9.8, 8.6, 6.6)))
        arm = ribbon(path, widths)
        fist = [figure.at(sign * hand[0] + dx, hand[1] + dy)
                for dx, dy in ((-2.8, 2), (0, 4), (2.8, 2), (2.6, -5), (0, -7), (-2.4, -5))]  # fmt: skip
        solid(canvas, curve(fist, closed=True), rng, figure.skin, depth=0.35, radius=2 * figure.scale)
        solid(canvas, arm, rng, figure.skin if bare else sleeve, depth=0.45,
              radius=2.5 * figure.scale, scale=0.0 if bare else figure.scale, style=top["style"])  # fmt: skip
        if bare:
            cap = ribbon([path[0], ((path[0][0] + path[1][0]) / 2, (path[0][1] + path[1][1]) / 2)],
                         (10 * figure.scale, 9.5 * figure.scale))  # fmt: skip
            solid(canvas, cap, rng, sleeve, radius=2.5 * figure.scale)
    carries = plan is None or not {"cargo", "embellished"} & set(plan.details)
    if carries and rng.random() < 0.25:
        _handbag(canvas, rng, figure, int(rng.choice([-1, 1])))


def _handbag(canvas: Canvas, rng: Rng, figure: Figure, sign: int) -> None:
    tone = cloth_colour(rng, "leggings", None, "dress")
    strap = [figure.at(sign * a, h) for a, h in ((12, 142), (20, 110), (25, 92))]
    width = 1.4 * figure.scale
    solid(canvas, ribbon(strap, (width, width)), rng, mix(tone, BLACK, 0.3), radius=2)
    body = [figure.at(sign * a, h) for a, h in ((16, 94), (36, 94), (37, 72), (15, 72))]
    solid(canvas, body, rng, tone, depth=0.4, radius=4 * figure.scale, shadow=0.3)


def _long_hair(canvas: Canvas, rng: Rng, figure: Figure, hair: Colour) -> None:
    length = rng.uniform(-16, 22)
    if length < 0:
        return
    back = [(-8.5, 164), (0, 174), (8.5, 164), (10.5, 150 - length / 2), (8, 148 - length),
            (-8, 148 - length), (-10.5, 150 - length / 2)]  # fmt: skip
    solid(canvas, curve([figure.at(a, h) for a, h in back], closed=True), rng, hair,
          radius=3 * figure.scale)  # fmt: skip


def _head(canvas: Canvas, rng: Rng, figure: Figure, hair: Colour) -> None:
    neck = [(-4.6, 152), (4.6, 152), (5.2, 145), (0, 141), (-5.2, 145)]
    solid(canvas, [figure.at(a, h) for a, h in neck], rng, mix(figure.skin, BLACK, 0.12), depth=0.3)
    face = [(-7.4, 161), (-5, 169), (0, 171.5), (5, 169), (7.4, 161), (5.5, 152.5), (0, 148.5),
            (-5.5, 152.5)]  # fmt: skip
    oval = curve([figure.at(a, h) for a, h in face], closed=True)
    solid(canvas, oval, rng, figure.skin, depth=0.3, radius=3 * figure.scale)
    if figure.dummy:
        return
    fringe = [(-8, 160), (-7.6, 168), (0, 174), (7.6, 168), (8, 160), (5, 166.5), (0, 168.2),
              (-5, 166)]  # fmt: skip
    solid(canvas, curve([figure.at(a, h) for a, h in fringe], closed=True), rng, hair)
    tone = (0.08, 0.07, 0.07)
    wide = 2.8 if rng.random() < 0.3 else 1.1
    for sign in (-1, 1):
        eye = [(sign * 3 - wide, 160.5), (sign * 3, 161.8), (sign * 3 + wide, 160.5),
               (sign * 3, 160.5 - wide * 0.7)]  # fmt: skip
        solid(canvas, curve([figure.at(a, h) for a, h in eye], closed=True), rng, tone, depth=0)
    mouth = [(-2.2, 153.6), (0, 154.2), (2.2, 153.6), (0, 152.4)]
    solid(canvas, [figure.at(a, h) for a, h in mouth], rng, (0.7, 0.35, 0.33), depth=0)


def _extras(canvas: Canvas, rng: Rng, figure: Figure, plan: Plan) -> None:
    """An open coat over the sides of the legs; nothing that hides a detail which was promised."""
    if figure.dummy or {"cargo", "embellished", "drawstring"} & set(plan.details):
        return
    if rng.random() > 0.16:
        return
    hem = rng.uniform(52, 92) if plan.length != "short" else rng.uniform(80, 96)
    colour = cloth_colour(rng, "leggings", None, "dress")
    for sign in (-1, 1):
        panel = [(5, 146), (17.5, 142), (19.5, 118), (22, hem), (9.5, hem - 1), (9, 120)]
        points = [figure.at(sign * a, h) for a, h in panel]
        alpha, at = shape_mask(points)
        cloth = textile(rng, alpha.shape, figure.scale, colour, "dress", 0.0)
        canvas.shadow(alpha, at, (0, 0), 2 * figure.scale, 0.3)
        canvas.paint(np.clip(cloth, 0, 1), alpha, at)

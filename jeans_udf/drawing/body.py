"""A standing body: where its parts are, and its legs, shoes, hair and head."""

from __future__ import annotations

from dataclasses import dataclass

from jeans_udf.drawing.canvas import Canvas, curve, shape_mask
from jeans_udf.drawing.colours import BLACK, Colour, cloth_colour, mix
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.shapes import ribbon, solid
from jeans_udf.drawing.silhouette import Stance

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


def stand(rng: Rng, x: float, ground: float, scale: float, dummy: bool) -> Figure:
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


def ground_shadow(canvas: Canvas, figure: Figure) -> None:
    spots = [figure.at(a, h) for a, h in ((-22, 3), (0, 6), (24, 3), (22, -5), (0, -7), (-20, -4))]
    alpha, at = shape_mask(curve(spots, closed=True))
    canvas.shadow(alpha, at, (0, 0), 3.5 * figure.scale, 0.5)


def _foot(figure: Figure, side: int) -> tuple[float, float]:
    """Ankle's place, cm: signed distance from the middle and height of the sole."""
    sign = -1 if side == 0 else 1
    return sign * figure.stance.feet[side], figure.stance.lift[side] * 0.9


def legs(canvas: Canvas, rng: Rng, figure: Figure) -> None:
    for side, sign in ((0, -1), (1, 1)):
        foot, lift = _foot(figure, side)
        bend = figure.stance.bend[side]
        knee = sign * 8.6 * 0.54 + foot * 0.46 + bend
        path = [figure.at(sign * 8.6, CROTCH + 4), figure.at((sign * 8.6 + knee) / 2, 64),
                figure.at(knee, 46 + lift / 2), figure.at((knee + foot) / 2, 28 + lift),
                figure.at(foot, 5 + lift)]  # fmt: skip
        widths = tuple(w * figure.scale * figure.wide for w in (16.5, 14.2, 10, 10, 6.2))
        solid(canvas, ribbon(path, widths), rng, figure.skin, depth=0.45, radius=3.5 * figure.scale)


def shoes(canvas: Canvas, rng: Rng, figure: Figure, kind: str) -> None:
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


def long_hair(canvas: Canvas, rng: Rng, figure: Figure, hair: Colour) -> None:
    length = rng.uniform(-16, 22)
    if length < 0:
        return
    back = [(-8.5, 164), (0, 174), (8.5, 164), (10.5, 150 - length / 2), (8, 148 - length),
            (-8, 148 - length), (-10.5, 150 - length / 2)]  # fmt: skip
    solid(canvas, curve([figure.at(a, h) for a, h in back], closed=True), rng, hair,
          radius=3 * figure.scale)  # fmt: skip


def head(canvas: Canvas, rng: Rng, figure: Figure, hair: Colour) -> None:
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

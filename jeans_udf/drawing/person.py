"""A simple drawn person or mannequin who wears the garment: nobody's likeness."""

from __future__ import annotations

from typing import Any

import numpy as np

from jeans_udf.drawing.body import (
    WAIST,
    Figure,
    ground_shadow,
    head,
    legs,
    long_hair,
    shoes,
    stand,
)
from jeans_udf.drawing.canvas import Canvas, curve, shape_mask
from jeans_udf.drawing.colours import BLACK, cloth_colour, mix
from jeans_udf.drawing.garment import draw_garment
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import Plan
from jeans_udf.drawing.shapes import any_style, ribbon, solid, textile
from jeans_udf.drawing.silhouette import outline


def draw_person(
    canvas: Canvas, rng: Rng, garment: tuple[Plan, Rng, int] | None, x: float, ground: float,
    scale: float, dummy: bool, dressed: str | None = None,
) -> None:  # fmt: skip
    """Paint a person; ``garment`` is plan, generator and owner number; ``dressed`` a dress's or
    skirt's name for people without a bottom garment."""
    figure = stand(rng, x, ground, scale, dummy)
    parts = [np.random.default_rng(seed) for seed in rng.integers(2**62, size=6)]
    ground_shadow(canvas, figure)
    plan = garment[0] if garment else None
    worn = _footwear(parts[0], plan)
    legs(canvas, parts[1], figure)
    if worn != "over":
        shoes(canvas, parts[0], figure, worn)
    if garment is not None:
        _wear(canvas, figure, *garment)
    if worn == "over":
        shoes(canvas, parts[0], figure, worn)
    cover = _cover(parts[2], plan)
    hair = mix((0.12, 0.08, 0.06), (0.85, 0.65, 0.4), float(parts[4].random() ** 1.6))
    if not dummy:
        long_hair(canvas, parts[4], figure, hair)
    top = _top(parts[2])
    _torso(canvas, parts[2], figure, cover, dressed, top)
    _arms(canvas, parts[3], figure, top, plan)
    head(canvas, parts[4], figure, hair)
    if garment is not None:
        _extras(canvas, parts[5], figure, garment[0])


def _footwear(rng: Rng, plan: Plan | None) -> str:
    narrow = plan is None or plan.fit in ("skinny", None) or plan.length == "short"
    hem_shown = plan is not None and {"cuffed", "raw_hem"} & set(plan.details)
    if narrow and not hem_shown and rng.random() < 0.3:
        return "over"
    return str(rng.choice(["sneaker", "pump", "shoe"]))


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
        return -1.0
    if "drawstring" in plan.details or draw < 0.25:
        return -1.0
    if plan.length == "short":
        return float(rng.uniform(2, 9))
    if plan.category == "leggings" and draw > 0.45:
        return float(rng.uniform(16, 36))
    return float(rng.uniform(2, 20))


def _top(rng: Rng) -> dict[str, Any]:
    """How the cloth of the top is drawn: the same for its body and its sleeves."""
    style = any_style(rng)
    wash = "medium" if style == "denim" else None
    colour = cloth_colour(rng, "jeans" if wash else "shorts", wash, style)
    return {"style": style, "colour": colour, "pattern": bool(rng.random() < 0.25)}


def _torso(
    canvas: Canvas, rng: Rng, figure: Figure, cover: float, dressed: str | None,
    top: dict[str, Any],
) -> None:  # fmt: skip
    hem = WAIST - cover
    flare = max(cover, 0) * 0.12
    half: list[tuple[float, float]] = [(4.5, 147), (12, 145), (18.5, 141), (17.2, 128), (15.2, 115)]
    if cover > 0:
        half += [(17.5 + flare, min(96, hem + 5)), (18.6 + flare, hem)]
    else:
        half += [(14.6, hem)]
    end, hip = rng.uniform(10, 66), rng.uniform(17.5, 20)
    if dressed == "dress":
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


# Where the elbow and the hand of an arm are, in cm outwards and above the ground.
ARMS = {
    "down": ((22.5, 116), (22, 88)),
    "hip": ((30, 118), (17, 100)),
    "belly": ((22, 114), (6, 111)),
    "out": ((26, 117), (32, 94)),
}
FIST = ((-2.8, 2), (0, 4), (2.8, 2), (2.6, -5), (0, -7), (-2.4, -5))


def _arms(
    canvas: Canvas, rng: Rng, figure: Figure, top: dict[str, Any], plan: Plan | None
) -> None:
    sleeve = top["colour"]
    bare = rng.random() < 0.35
    for sign in (-1, 1):
        pose = str(rng.choice(["down", "down", "hip", "belly", "out"]))
        elbow, rest = ARMS[pose]
        hand = (rest[0] + rng.uniform(-3, 3), rest[1] + rng.uniform(-4, 4))
        path = [figure.at(sign * a, h) for a, h in ((15.6, 138.5), elbow, hand)]
        widths = (6.4, 7.8, 7.0, 6.4, 5.0) if bare else (7.4, 9.8, 8.8, 7.8, 6.8)
        arm = ribbon(path, tuple(w * figure.scale for w in widths))
        fist = [figure.at(sign * hand[0] + dx, hand[1] + dy) for dx, dy in FIST]
        round_by = 2 * figure.scale
        solid(canvas, curve(fist, closed=True), rng, figure.skin, depth=0.35, radius=round_by)
        solid(canvas, arm, rng, figure.skin if bare else sleeve, depth=0.45, radius=round_by,
              scale=0.0 if bare else figure.scale, style=top["style"])  # fmt: skip
        if bare:
            cap = ribbon([path[0], ((path[0][0] + path[1][0]) / 2, (path[0][1] + path[1][1]) / 2)],
                         (8 * figure.scale, 10 * figure.scale))  # fmt: skip
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

"""Everything that is no bottom garment: tops, dresses, skirts, shoes, bags, hats, blankets.

Each thing is a function (canvas, rng, box) that draws itself into ``box`` XYXY px.
"""

from __future__ import annotations

import numpy as np

from jeans_udf.drawing.canvas import Canvas, Points, curve
from jeans_udf.drawing.colours import BLACK, Colour, cloth_colour, mix
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.shapes import Box, crumpled, placed, ribbon, shaped, solid


def _cloth(
    canvas: Canvas, rng: Rng, points: Points, box: Box, style: str | None = None,
    colour: Colour | None = None, patterned: float = 0.35,
) -> None:  # fmt: skip
    scale = max((box[3] - box[1]) / 70, 1.5)
    points = crumpled(rng, points, 3 * scale)
    solid(canvas, points, rng, colour, depth=0.3, radius=4 * scale, scale=scale, style=style,
          patterned=patterned, shadow=0.5)  # fmt: skip


def t_shirt(canvas: Canvas, rng: Rng, box: Box) -> None:
    box = shaped(box, rng.uniform(0.85, 1.1))
    sleeve = rng.uniform(0.3, 0.42)
    half = [(0.5, 0.06), (0.42, 0.05), (0.37, 0.0), (0.2, 0.05), (0.0, sleeve),
            (0.13, sleeve + 0.09), (0.23, 0.28), (0.22, 0.98), (0.5, 1.0)]  # fmt: skip
    _cloth(canvas, rng, placed(half, box, mirror=True), box, "jersey")
    neck = placed([(0.37, 0.0), (0.5, 0.012), (0.63, 0.0), (0.58, 0.07), (0.5, 0.09),
                   (0.42, 0.07)], box)  # fmt: skip
    solid(canvas, curve(neck, closed=True), rng, (0.25, 0.24, 0.24), depth=0.2)
    if rng.random() < 0.5:
        print_box = placed([(0.36, 0.3), (0.64, 0.3), (0.64, 0.55), (0.36, 0.55)], box)
        solid(canvas, print_box, rng, tuple(rng.random(3)), depth=0.05, scale=3.0, patterned=0.8)


def shirt(canvas: Canvas, rng: Rng, box: Box, denim: bool = False) -> None:
    box = shaped(box, rng.uniform(0.8, 1.05))
    half = [(0.5, 0.05), (0.4, 0.0), (0.24, 0.05), (0.08, 0.5), (0.0, 0.86), (0.1, 0.89),
            (0.26, 0.4), (0.25, 0.96), (0.5, 1.0)]  # fmt: skip
    style = "denim" if denim else str(rng.choice(["jersey", "chino"]))
    wash = str(rng.choice(["light", "medium", "dark", "black"])) if denim else None
    colour = cloth_colour(rng, "jeans" if denim else "shorts", wash, style)
    _cloth(canvas, rng, placed(half, box, mirror=True), box, style, colour)
    dark = (0.12, 0.12, 0.13)
    line = placed([(0.497, 0.08), (0.503, 0.08), (0.503, 0.99), (0.497, 0.99)], box)
    solid(canvas, line, rng, dark, depth=0)
    for y in np.linspace(0.15, 0.92, 7):
        dot = placed([(0.485, y), (0.5, y - 0.008), (0.515, y), (0.5, y + 0.008)], box)
        solid(canvas, dot, rng, (0.75, 0.7, 0.6) if denim else (0.9, 0.9, 0.88), depth=0)
    if denim or rng.random() < 0.4:
        for x in (0.31, 0.57):
            pocket = placed([(x, 0.3), (x + 0.13, 0.3), (x + 0.13, 0.45), (x, 0.45)], box)
            _cloth(canvas, rng, pocket, box, style, mix(colour, BLACK, 0.08), patterned=0)


def jacket(canvas: Canvas, rng: Rng, box: Box) -> None:
    shirt(canvas, rng, box, denim=True)


def hoodie(canvas: Canvas, rng: Rng, box: Box) -> None:
    box = shaped(box, rng.uniform(0.8, 1.0))
    colour = cloth_colour(rng, "shorts", None, "jersey")
    half = [(0.5, 0.12), (0.36, 0.1), (0.22, 0.14), (0.06, 0.55), (0.0, 0.92), (0.11, 0.95),
            (0.25, 0.48), (0.24, 0.97), (0.5, 1.0)]  # fmt: skip
    _cloth(canvas, rng, placed(half, box, mirror=True), box, "jersey", colour, 0)
    hood = placed([(0.34, 0.13), (0.36, 0.02), (0.5, -0.02), (0.64, 0.02), (0.66, 0.13),
                   (0.5, 0.2)], box)  # fmt: skip
    solid(canvas, curve(hood, closed=True), rng, mix(colour, BLACK, 0.15), radius=10)
    pouch = placed([(0.36, 0.62), (0.64, 0.62), (0.7, 0.85), (0.3, 0.85)], box)
    solid(canvas, pouch, rng, mix(colour, BLACK, 0.12), depth=0.2)
    for x in (0.45, 0.55):
        line = [(x - 0.006, 0.16), (x + 0.006, 0.16), (x + 0.01, 0.4), (x - 0.005, 0.4)]
        cord = placed(line, box)
        solid(canvas, cord, rng, (0.92, 0.92, 0.9), depth=0)


def dress(canvas: Canvas, rng: Rng, box: Box) -> None:
    box = shaped(box, rng.uniform(0.5, 0.65))
    flare = rng.uniform(0.0, 0.22)
    half = [(0.5, 0.08), (0.42, 0.07), (0.4, 0.0), (0.33, 0.0), (0.28, 0.13), (0.3, 0.36),
            (0.22 - flare * 0.5, 0.62), (0.2 - flare, 1.0), (0.5, 1.02)]  # fmt: skip
    _cloth(canvas, rng, placed(half, box, mirror=True), box, patterned=0.5)


def skirt(canvas: Canvas, rng: Rng, box: Box) -> None:
    """A denim skirt is the hardest negative: jeans down to the hips."""
    box = shaped(box, rng.uniform(0.65, 1.4))
    flare = rng.uniform(0.0, 0.24)
    half = [(0.5, 0.03), (0.26, 0.0), (0.2, 0.3), (0.2 - flare, 0.97), (0.5, 1.0)]
    denim = rng.random() < 0.5
    _cloth(canvas, rng, placed(half, box, mirror=True), box, "denim" if denim else None)
    line = (0.75, 0.58, 0.35) if denim else (0.1, 0.1, 0.1)
    high = 0.09
    strips = [[(0.25, high), (0.75, high), (0.75, high + 0.008), (0.25, high + 0.008)]]
    if denim:
        strips += [[(0.497, high), (0.503, high), (0.503, 0.5), (0.497, 0.5)],
                   [(0.21, 0.24), (0.38, 0.1), (0.39, 0.11), (0.22, 0.255)],
                   [(0.79, 0.24), (0.62, 0.1), (0.61, 0.11), (0.78, 0.255)]]  # fmt: skip
    for strip in strips:
        solid(canvas, placed(strip, box), rng, line, depth=0)


def shoes(canvas: Canvas, rng: Rng, box: Box) -> None:
    colour = cloth_colour(rng, "shorts", None, "chino")
    tall = rng.random() < 0.35
    side = [(0.02, 0.25), (0.3, 0.22), (0.42, 0.5), (0.75, 0.62), (0.98, 0.78), (0.98, 0.92),
            (0.04, 0.92), (0.0, 0.6)]  # fmt: skip
    if tall:
        side[:2] = [(0.02, -0.5), (0.34, -0.5)]
    x0, y0, x1, y1 = box
    tall_px = (x1 - x0) * 0.5
    for shift in (0.0, 0.5):
        y = (y0 + y1) / 2 - tall_px * 0.6 + shift * tall_px
        spot = (x0 + shift * 20, y, x1 + shift * 20, y + tall_px * 0.8)
        body = curve(placed(side, spot), closed=True)
        solid(canvas, body, rng, colour, depth=0.45, radius=9, shadow=0.5)
        sole = [(0.0, 0.86), (0.99, 0.86), (0.99, 0.97), (0.0, 0.97)]
        solid(canvas, placed(sole, spot), rng, (0.9, 0.9, 0.88) if not tall else (0.1, 0.09, 0.08))
        for number in range(4):
            x = 0.42 + 0.07 * number
            lace = [(x, 0.36 + 0.05 * number), (x + 0.03, 0.36 + 0.05 * number),
                    (x + 0.07, 0.56), (x + 0.04, 0.56)]  # fmt: skip
            solid(canvas, placed(lace, spot), rng, (0.93, 0.93, 0.93), depth=0)


def hat(canvas: Canvas, rng: Rng, box: Box) -> None:
    colour = cloth_colour(rng, "shorts", None, "chino")
    x0, y0, x1, y1 = box
    middle = (x0, (y0 + y1) / 2 - (x1 - x0) * 0.3, x1, (y0 + y1) / 2 + (x1 - x0) * 0.3)
    brim = [(0.0, 0.7), (0.25, 0.55), (0.75, 0.55), (1.0, 0.7), (0.75, 0.9), (0.25, 0.9)]
    crown = [(0.22, 0.68), (0.25, 0.2), (0.4, 0.05), (0.6, 0.05), (0.75, 0.2), (0.78, 0.68),
             (0.5, 0.76)]  # fmt: skip
    shade = mix(colour, BLACK, 0.15)
    solid(canvas, curve(placed(brim, middle), closed=True), rng, shade, shadow=0.5)
    solid(canvas, curve(placed(crown, middle), closed=True), rng, colour, radius=22)
    band = [(0.225, 0.58), (0.775, 0.58), (0.78, 0.68), (0.5, 0.75), (0.22, 0.68)]
    solid(canvas, placed(band, middle), rng, mix(colour, BLACK, 0.6), depth=0.1)


def bag(canvas: Canvas, rng: Rng, box: Box) -> None:
    colour = cloth_colour(rng, "shorts", None, "chino")
    handle = placed([(0.3, 0.42), (0.34, 0.1), (0.5, 0.02), (0.66, 0.1), (0.7, 0.42)], box)
    width = (box[2] - box[0]) * 0.04
    solid(canvas, ribbon(handle, (width, width)), rng, mix(colour, BLACK, 0.3), radius=3)
    half = [(0.5, 0.4), (0.1, 0.4), (0.03, 0.9), (0.08, 0.96), (0.5, 0.96)]
    body = placed(half, box, mirror=True)
    solid(canvas, body, rng, colour, depth=0.4, radius=20, shadow=0.5,
          scale=4.0 if rng.random() < 0.4 else 0.0, patterned=0.6)  # fmt: skip
    flap = placed([(0.1, 0.4), (0.9, 0.4), (0.86, 0.62), (0.5, 0.7), (0.14, 0.62)], box)
    solid(canvas, flap, rng, mix(colour, (1, 1, 1), 0.08), radius=8)
    clasp = placed([(0.46, 0.64), (0.54, 0.64), (0.54, 0.72), (0.46, 0.72)], box)
    solid(canvas, clasp, rng, (0.8, 0.68, 0.35), radius=3)


def blanket(canvas: Canvas, rng: Rng, box: Box) -> None:
    """Folded cloth, denim-blue now and then: stitched and woven like trousers, but none."""
    x0, y0, x1, y1 = box
    y0, y1 = y0 + (y1 - y0) * 0.2, y1 - (y1 - y0) * 0.2
    colour = cloth_colour(rng, "jeans", str(rng.choice(["light", "medium", "dark"])), "denim")
    colour = colour if rng.random() < 0.5 else cloth_colour(rng, "shorts", None, "chino")
    for number in range(3):
        shift = number * 0.03
        sheet = [(0.02 + shift, shift), (0.98, 0.01 + shift), (0.97 - shift, 0.98), (0.01, 0.99)]
        _cloth(canvas, rng, placed(sheet, (x0, y0, x1, y1)), (x0, y0, x1, y1), "jersey",
               mix(colour, BLACK, 0.05 * number), 0.25 if number == 2 else 0)  # fmt: skip


THINGS = {
    "t_shirt": t_shirt, "shirt": shirt, "jacket": jacket, "hoodie": hoodie, "dress": dress,
    "skirt": skirt, "shoes": shoes, "hat": hat, "bag": bag, "blanket": blanket,
}  # fmt: skip

"""What a garment lies on, hangs before, or a person stands in front of."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from jeans_udf.drawing.canvas import Canvas
from jeans_udf.drawing.colours import Colour, mix
from jeans_udf.drawing.noise import Rng, grain, relief, smooth

WALLS: tuple[Colour, ...] = (
    (0.95, 0.95, 0.94), (0.86, 0.86, 0.85), (0.62, 0.62, 0.62), (0.92, 0.88, 0.8),
    (0.85, 0.74, 0.66), (0.8, 0.83, 0.87), (0.45, 0.47, 0.5), (0.9, 0.8, 0.8),
)  # fmt: skip
CLOTHS: tuple[Colour, ...] = (
    (0.9, 0.89, 0.87), (0.85, 0.8, 0.7), (0.75, 0.1, 0.15), (0.6, 0.1, 0.35), (0.2, 0.2, 0.22),
    (0.5, 0.55, 0.6), (0.45, 0.35, 0.3), (0.82, 0.7, 0.3), (0.3, 0.4, 0.32), (0.7, 0.75, 0.85),
)  # fmt: skip


def _any_tone(rng: Rng) -> Colour:
    """Any colour, muted as walls and floors are."""
    return mix(tuple(rng.random(3).tolist()), (0.65, 0.63, 0.6), float(rng.uniform(0.2, 0.8)))


def plain(canvas: Canvas, rng: Rng) -> None:
    """A wall or paper: nearly even, a little lighter on one side."""
    colour = WALLS[int(rng.integers(len(WALLS)))] if rng.random() < 0.75 else _any_tone(rng)
    shape = (canvas.height, canvas.width)
    dirt = smooth(rng, shape, (90, 90)) * 0.02 + grain(rng, shape) * 0.008
    canvas.rgb[:] = np.asarray(colour, np.float32) + dirt[..., None]


def white(canvas: Canvas, rng: Rng) -> None:
    canvas.rgb[:] = np.float32(rng.uniform(0.93, 1.0))


def wood(canvas: Canvas, rng: Rng) -> None:
    """Boards with grain along them, joints between; seen from above."""
    shape = (canvas.height, canvas.width)
    upright = rng.random() < 0.5
    tones: tuple[Colour, ...] = (
        (0.72, 0.55, 0.36), (0.55, 0.36, 0.22), (0.36, 0.23, 0.15), (0.78, 0.7, 0.6),
        (0.66, 0.63, 0.6), (0.75, 0.5, 0.25),
    )  # fmt: skip
    tone = np.asarray(tones[int(rng.integers(len(tones)))], np.float32)
    angle = (math.pi / 2 if upright else 0.0) + rng.normal(0, 0.06)
    streaks = smooth(rng, shape, (120, 2.5), angle) + smooth(rng, shape, (60, 9), angle)
    streaks = streaks * rng.uniform(0.012, 0.035)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    along, across = (x * math.cos(angle) + y * math.sin(angle)), (
        -x * math.sin(angle) + y * math.cos(angle)
    )
    board = rng.uniform(35, 110)
    number = np.floor(across / board)
    part = across / board - number
    lift = np.sin(number * 12.9898) * 43758.5453
    lift = (lift - np.floor(lift) - 0.5) * 0.16
    joint = (np.abs(part - 0.5) > 0.5 - 0.8 / board) * 0.35
    span = board * rng.uniform(4, 9)
    ends = np.abs((along / span + lift * 8) % 1 - 0.5) < 0.9 / span
    value = 1 + streaks * 1.6 + lift - joint - ends * 0.3
    canvas.rgb[:] = tone * value[..., None]


def tiles(canvas: Canvas, rng: Rng) -> None:
    shape = (canvas.height, canvas.width)
    tone = np.asarray(mix((0.85, 0.79, 0.7), WALLS[int(rng.integers(len(WALLS)))], 0.5), np.float32)
    angle, size = rng.uniform(0, math.pi / 2), rng.uniform(90, 230)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    u, v = x * math.cos(angle) + y * math.sin(angle), -x * math.sin(angle) + y * math.cos(angle)
    gap = np.minimum(np.abs((u / size) % 1 - 0.5), np.abs((v / size) % 1 - 0.5)) * size
    joint = np.clip(2.2 - gap, 0, 1) * rng.uniform(0.2, 0.6)
    dirt = smooth(rng, shape, (30, 30)) * 0.025 + smooth(rng, shape, (7, 7)) * 0.012
    canvas.rgb[:] = tone * (1 - joint + dirt)[..., None]


def carpet(canvas: Canvas, rng: Rng) -> None:
    shape = (canvas.height, canvas.width)
    tone = np.asarray(CLOTHS[int(rng.integers(len(CLOTHS)))], np.float32) * 0.9
    pile = grain(rng, shape) * 0.1 + smooth(rng, shape, (3, 3)) * 0.09
    pile = pile + smooth(rng, shape, (40, 40)) * 0.04
    canvas.rgb[:] = tone * (1 + pile)[..., None]
    if rng.random() < 0.3:
        figure = np.sin(smooth(rng, shape, (40, 40)) * rng.uniform(2, 5))
        colour = np.asarray(mix(_any_tone(rng), tuple(tone.tolist()), 0.4), np.float32)
        share = np.clip(figure * 2, 0, 1)[..., None] * rng.uniform(0.3, 0.8)
        canvas.rgb += (colour * (1 + pile)[..., None] - canvas.rgb) * share


def sheet(canvas: Canvas, rng: Rng) -> None:
    """A bed: smooth cloth with soft folds."""
    shape = (canvas.height, canvas.width)
    tone = np.asarray(CLOTHS[int(rng.integers(len(CLOTHS)))], np.float32)
    folds = smooth(rng, shape, (170, 40), rng.uniform(0, 3.1)) * 5
    folds = folds + smooth(rng, shape, (50, 50)) * 3
    crease = smooth(rng, shape, (90, 9), rng.uniform(0, 3.1))
    folds = folds + np.clip(crease - 0.8, 0, 2) * 1.5
    value = relief(folds, (-0.7, -0.5), rng.uniform(0.1, 0.3)) + grain(rng, shape) * 0.012
    canvas.rgb[:] = tone * value[..., None]


def studio(canvas: Canvas, rng: Rng) -> None:
    """Paper behind and below a standing person; the floor begins without an edge."""
    plain(canvas, rng)
    rows = np.linspace(0, 1, canvas.height, dtype=np.float32)[:, None]
    canvas.shade(1 - 0.12 * np.exp(-(((rows - 0.86) / 0.1) ** 2)) + np.zeros((1, canvas.width)))


def street(canvas: Canvas, rng: Rng) -> None:
    """Out of focus: houses with windows and doors, cars or trees, pavement."""
    height, width = canvas.height // 4, canvas.width // 4
    ground = int(height * rng.uniform(0.55, 0.85))
    tones = [mix(WALLS[int(rng.integers(len(WALLS)))], (0.4, 0.32, 0.26), rng.random() * 0.8)
             for _ in range(3)]  # fmt: skip
    small = np.empty((height, width, 3), np.float32)
    edges = [0, *sorted(rng.integers(0, width, 2).tolist()), width]
    for tone, left, right in zip(tones, edges[:-1], edges[1:], strict=True):
        small[:ground, left:right] = tone
    for _ in range(int(rng.integers(3, 12))):
        x, y = int(rng.integers(width)), int(rng.integers(ground))
        w, h = int(rng.integers(6, 22)), int(rng.integers(8, 40))
        dark = rng.random() < 0.65
        colour = (0.75 * rng.random() + 0.25 * rng.random(3)) * (0.3 if dark else 1.0)
        small[y : min(y + h, ground), x : x + w] = colour
    pavement = np.asarray(mix((0.55, 0.54, 0.52), tuple(rng.random(3)), 0.15), np.float32)
    small[ground:] = pavement * rng.uniform(0.7, 1.3)
    if rng.random() < 0.5:
        kerb = ground + int((height - ground) * rng.uniform(0.1, 0.6))
        small[kerb : kerb + 2] *= 1.25
        small[kerb + 2 :] *= rng.uniform(0.6, 0.95)
    small += (smooth(rng, (height, width), (14, 14)) * 0.03)[..., None]
    blur = float(rng.uniform(0.4, 0.9))
    image = Image.fromarray((np.clip(small, 0, 1) * 255).astype(np.uint8))
    image = image.resize((int(width * blur), int(height * blur)), Image.Resampling.BOX)
    image = image.resize((canvas.width, canvas.height), Image.Resampling.BICUBIC)
    canvas.rgb[:] = np.asarray(image, np.float32) / 255
    rough = grain(rng, (canvas.height, canvas.width)) * 0.03
    rough[: ground * 4] *= 0.3
    canvas.rgb += rough[..., None]


def bricks(canvas: Canvas, rng: Rng) -> None:
    """A brick wall in focus, close behind; pavement below."""
    shape = (canvas.height, canvas.width)
    tone = mix((0.55, 0.28, 0.2), WALLS[int(rng.integers(len(WALLS)))], rng.random() * 0.7)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    tall = rng.uniform(9, 16)
    row = np.floor(y / tall)
    column = x / (tall * 2.8) + (row % 2) * 0.5
    lift = np.sin(row * 78.233 + np.floor(column) * 12.9898) * 43758.5453
    lift = (lift - np.floor(lift) - 0.5) * 0.25
    joint = (y / tall - row < 0.12) | (column % 1 < 0.045)
    value = np.where(joint, 1.15, 1 + lift) + grain(rng, shape) * 0.04
    canvas.rgb[:] = np.asarray(tone, np.float32) * value[..., None]
    ground = int(canvas.height * rng.uniform(0.78, 0.9))
    floor = 0.55 + smooth(rng, shape, (5, 2)) * 0.03 + grain(rng, shape) * 0.03
    canvas.rgb[ground:] = floor[ground:, :, None]
    canvas.rgb[ground : ground + 5] *= 0.6


LYING = {"plain": 0.2, "white": 0.08, "wood": 0.26, "tiles": 0.12, "carpet": 0.12, "sheet": 0.22}
HANGING = {"plain": 0.85, "white": 0.08, "sheet": 0.07}
STANDING = {"street": 0.55, "studio": 0.25, "bricks": 0.12, "white": 0.08}
BACKDROPS = {
    "plain": plain, "white": white, "wood": wood, "tiles": tiles, "carpet": carpet,
    "sheet": sheet, "studio": studio, "street": street, "bricks": bricks,
}  # fmt: skip

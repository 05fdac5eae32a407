"""Whole pictures: a backdrop, what is shown before it, light and lens, and the exact truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from jeans_udf.drawing.backdrop import BACKDROPS, HANGING, LYING, STANDING
from jeans_udf.drawing.canvas import Canvas
from jeans_udf.drawing.lay import lay_garment
from jeans_udf.drawing.noise import Rng, grain
from jeans_udf.drawing.person import draw_person
from jeans_udf.drawing.plan import CATEGORIES, Plan, choose, make_plan
from jeans_udf.drawing.shapes import Box
from jeans_udf.drawing.things import THINGS
from jeans_udf.drawing.words import words
from jeans_udf.errors import ConfigError, near_miss

NEGATIVES: dict[str, float] = {
    "t_shirt": 0.13, "shirt": 0.1, "jacket": 0.1, "hoodie": 0.08, "dress": 0.1, "skirt": 0.13,
    "shoes": 0.07, "hat": 0.05, "bag": 0.06, "blanket": 0.05, "empty": 0.03,
    "dress_worn": 0.06, "skirt_worn": 0.04,
}  # fmt: skip
"""Pictures without a bottom garment; skirts, denim jackets and dresses are the hard ones."""
KINDS = (*CATEGORIES, "pair", *NEGATIVES)
WISHES = (
    "backdrop", "close_up", "details", "fabric", "fit", "hanging", "length", "look", "size",
    "view", "wash",
)  # fmt: skip


@dataclass(frozen=True)
class DrawnGarment:
    """``mask`` (H, W) bool, visible pixels only; ``box`` XYXY px floats around them.

    ``attributes`` maps a group to its label (``details``: a tuple); a group that does not apply
    or cannot be seen is absent.
    """

    category: str
    attributes: dict[str, str | tuple[str, ...]]
    mask: np.ndarray
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class DrawnPicture:
    """``image`` (H, W, 3) uint8 RGB; ``view`` is flat or worn; ``kind`` one of `KINDS`."""

    image: np.ndarray
    garments: tuple[DrawnGarment, ...]
    view: str
    kind: str
    title: str
    description: str


def draw_picture(
    seed: Rng | int, *, kind: str | None = None, **wishes: Any
) -> DrawnPicture:
    """Draw one picture; the same seed and wishes give the same pixels in any process.

    Wishes (each replaces what chance would choose): ``view`` flat or worn, ``wash``, ``fit``,
    ``length``, ``details`` (names), ``fabric`` (RGB 0..255), ``size`` (width, height),
    ``hanging`` (bool), ``backdrop`` (a name), ``close_up`` (bool: the hems are out of the picture),
    ``look`` (an int: pictures of the same look show the same garment).
    """
    rng = np.random.default_rng(seed)
    parts = [np.random.default_rng(s) for s in rng.integers(2**62, size=6)]
    for name in wishes:
        if name not in WISHES:
            raise ConfigError(f"draw_picture: no wish {name!r}; {near_miss(name, WISHES)}")
    chosen = _kind(parts[0], kind)
    view = _view(parts[0], chosen, wishes)
    width, height = wishes.get("size") or _size(parts[0], chosen, view)
    canvas = Canvas(height, width)
    hanging = bool(parts[0].random() < 0.35)
    if wishes.get("hanging") is not None:
        hanging = bool(wishes["hanging"])
    scenery = STANDING if view == "worn" else HANGING if hanging else LYING
    BACKDROPS[wishes.get("backdrop") or choose(parts[1], scenery)](canvas, parts[1])
    plans = _plans(parts[2], chosen, view, wishes)
    painter = _paint_worn if view == "worn" else _paint_flat
    painter(canvas, parts[3], chosen, plans, hanging)
    near = view == "flat" and chosen in ("jeans", "trousers", "leggings")
    closer = bool(parts[0].random() < 0.07)
    if wishes.get("close_up") is not None:
        closer = bool(wishes["close_up"])
    plans, hidden = _come_closer(canvas, parts[2], plans) if near and closer else (plans, ())
    image = _photograph(canvas, parts[4])
    title, description = words(parts[5], chosen, plans)
    garments = _garments(canvas, plans, hidden)
    return DrawnPicture(image, garments, view, chosen, title, description)


def _kind(rng: Rng, kind: str | None) -> str:
    draw, garment, negative = rng.random(), choose(rng, CATEGORIES), choose(rng, NEGATIVES)
    if kind is not None:
        if kind not in KINDS:
            raise ConfigError(f"draw_picture: no kind {kind!r}; {near_miss(kind, KINDS)}")
        return kind
    return negative if draw < 0.15 else "pair" if draw < 0.2 else garment


def _view(rng: Rng, kind: str, wishes: dict[str, Any]) -> str:
    draw = rng.random()
    if kind in NEGATIVES:
        return "worn" if kind.endswith("_worn") else "flat"
    view = wishes.get("view")
    if view not in (None, "flat", "worn"):
        raise ConfigError(f"draw_picture: no view {view!r}; known: flat, worn")
    return view or ("worn" if draw < (0.3 if kind == "shorts" else 0.45) else "flat")


def _size(rng: Rng, kind: str, view: str) -> tuple[int, int]:
    """Width and height in px: portrait mostly, as shops and phones take them."""
    shape = rng.random()
    long = int(rng.choice([rng.integers(420, 600), rng.integers(560, 720), rng.integers(700, 900)],
                          p=[0.3, 0.58, 0.12]))  # fmt: skip
    short = max(int(long * rng.choice([0.66, 0.7, 0.75, 0.8])), 360)
    wide = 0.3 if kind in ("shorts", "denim_shorts", "pair", "shoes") else 0.06
    if view == "flat" and shape < wide:
        return max(long, short), short
    if shape > 0.9:
        return short, short
    return short, max(long, short)


def _plans(rng: Rng, kind: str, view: str, wishes: dict[str, Any]) -> tuple[Plan, ...]:
    if kind in NEGATIVES:
        return ()
    names = [kind] if kind != "pair" else [choose(rng, CATEGORIES) for _ in "ab"]
    plans = []
    for name in names:
        look = rng.integers(2**62)
        look = look if wishes.get("look") is None else wishes["look"]
        plan = make_plan(np.random.default_rng(look), name, view, wishes)
        if view == "worn" and plan.embellishment == "studs":
            # A top would hide them: they sit below the pockets.
            plan = replace(plan, embellishment="embroidery")
        plans.append(plan)
    return tuple(plans)


def _paint_flat(
    canvas: Canvas, rng: Rng, kind: str, plans: tuple[Plan, ...], hanging: bool
) -> None:
    for number, box in enumerate(_boxes(canvas, rng, max(len(plans), 1), hanging)):
        part = np.random.default_rng(rng.integers(2**62))
        if plans:
            lay_garment(canvas, part, plans[number], box, number + 1, hanging)
        elif kind != "empty":
            THINGS[kind](canvas, part, box)


def _boxes(canvas: Canvas, rng: Rng, count: int, hanging: bool) -> list[Box]:
    """Where things lie: nearly the whole picture, or one half each."""
    boxes = []
    width, height = canvas.width / count, canvas.height
    for number in range(count):
        side, top = rng.uniform(0.03, 0.17) * width, rng.uniform(0.03, 0.12) * height
        if hanging:
            top = rng.uniform(0.1, 0.16) * height
        bottom = rng.uniform(0.02, 0.1) * height
        drift = rng.normal(0, 0.02) * width
        left = number * width + side + drift
        boxes.append((left, top, left + width - 2 * side, height - bottom))
    return boxes


def _paint_worn(
    canvas: Canvas, rng: Rng, kind: str, plans: tuple[Plan, ...], hanging: bool
) -> None:
    count = max(len(plans), 1)
    dummy = bool(rng.random() < 0.15)
    for number in range(count):
        part = np.random.default_rng(rng.integers(2**62))
        tall = canvas.height * part.uniform(0.8, 0.95)
        if canvas.width / count / tall < 0.42:
            tall = canvas.width / count / 0.42
        scale = tall / 178
        ground = (canvas.height + tall) / 2 - 5 * scale + part.normal(0, 0.01) * canvas.height
        x = canvas.width * (number + 0.5) / count + part.normal(0, 0.04) * canvas.width / count
        garment = None
        if plans:
            cloth = np.random.default_rng(part.integers(2**62))
            garment = (plans[number], cloth, number + 1)
        dressed = kind.removesuffix("_worn") if not plans else None
        draw_person(canvas, part, garment, x, min(ground, canvas.height - 4 * scale), scale,
                    dummy, dressed)  # fmt: skip


def _come_closer(
    canvas: Canvas, rng: Rng, plans: tuple[Plan, ...]
) -> tuple[tuple[Plan, ...], tuple[str, ...]]:
    """Keep the garment's upper part; returns what can still be told, and the groups that cannot."""
    rows, columns = (np.flatnonzero((canvas.owner > 0).any(axis)) for axis in (1, 0))
    tall = rows[-1] - rows[0]
    share = rng.uniform(0.35, 0.7)
    top, bottom = max(rows[0] - 0.06 * tall, 0), rows[0] + share * tall
    left, right = max(columns[0] - 0.1 * tall, 0), columns[-1] + 0.1 * tall
    window = (slice(int(top), int(bottom)), slice(int(left), int(right)))
    canvas.rgb = np.ascontiguousarray(canvas.rgb[window])
    canvas.owner = canvas.owner[window]
    canvas.height, canvas.width = canvas.owner.shape
    below = ("cuffed", "raw_hem")
    plans = tuple(
        replace(plan, details=tuple(d for d in plan.details if d not in below)) for plan in plans
    )
    return plans, ("length",) if share > 0.58 else ("fit", "length")


def _photograph(canvas: Canvas, rng: Rng) -> np.ndarray:
    """Light falls off across the picture, the lens blurs, the sensor tints and adds noise."""
    height, width = canvas.height, canvas.width
    slope = rng.normal(0, 0.1, 2)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] * np.float32(slope[0])
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(slope[1])
    tint = rng.normal(1, 0.03, 3) * rng.normal(0.98, 0.09)
    lift = float(np.clip(rng.normal(0.01, 0.02), 0, 0.06))
    image = canvas.rgb * ((1 + x + y)[..., None] * tint.astype(np.float32)) + np.float32(lift)
    noise = grain(rng, (height, width)) * np.float32(rng.uniform(0.002, 0.022))
    image += noise[..., None]
    image *= 255
    np.clip(image, 0, 255, out=image)
    array = image.astype(np.uint8)
    blur = rng.random()
    if blur < 0.3:
        radius = rng.uniform(0.4, 1.2)
        array = np.asarray(Image.fromarray(array).filter(ImageFilter.GaussianBlur(radius)))
    return array


def _garments(
    canvas: Canvas, plans: tuple[Plan, ...], hidden: tuple[str, ...]
) -> tuple[DrawnGarment, ...]:
    garments = []
    for number, plan in enumerate(plans, start=1):
        mask = canvas.owner == number
        if mask.sum() < 50:
            continue
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        told = {k: v for k, v in plan.attributes().items() if k not in hidden}
        garments.append(DrawnGarment(plan.category, told, mask, box))
    return tuple(garments)

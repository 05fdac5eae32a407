"""Outlines to masks. Coordinates are pixels of the upright photo; (0, 0) is its top left corner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from jeans_udf.annotations.faults import Faulty, got
from jeans_udf.annotations.runlengths import compressed, run_counts
from jeans_udf.geometry import encode_rle, mask_area

SLACK = 1.0
"""Pixels by which a shape may reach out of the photo: tools round. It is cut off at the edge."""
LONGEST_OUTLINE = 1_000_000
"""Pixels of a polygon's perimeter; rasterizing takes about 100 bytes for each."""
_THINNEST = 0.01
"""Pixels of a radius; a thinner ellipse holds no pixel's centre but by accident."""


@dataclass(frozen=True)
class Polygons:
    """Rings of ``x, y, x, y, ...``; the garment is their union."""

    rings: tuple[tuple[float, ...], ...]

    def run_lengths(self, height: int, width: int) -> dict[str, Any]:
        """The mask as `geometry.encode_rle` gives it, with the pixels that pycocotools fills."""
        from pycocotools import mask as coco

        for ring in self.rings:
            _check_ring(ring, height, width)
        parts = coco.frPyObjects([list(ring) for ring in self.rings], height, width)
        merged = coco.merge(parts)
        return {"size": [height, width], "counts": merged["counts"].decode("ascii")}

    def segmentation(self, rle: dict[str, Any]) -> Any:
        """What a COCO file holds for it: the polygons as they were given."""
        return [list(ring) for ring in self.rings]


@dataclass(frozen=True)
class Ellipse:
    """Centre, half axes along x and y, and their turn in radians, clockwise as seen."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    turn: float = 0.0

    def run_lengths(self, height: int, width: int) -> dict[str, Any]:
        """The mask of the pixels whose centres lie in the ellipse."""
        if min(self.radius_x, self.radius_y) < _THINNEST:
            raise Faulty("empty_mask", f"radii {self.radius_x:.6g} and {self.radius_y:.6g}")
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        reach_x = math.hypot(self.radius_x * cos, self.radius_y * sin)
        reach_y = math.hypot(self.radius_x * sin, self.radius_y * cos)
        _check_inside(self.x - reach_x, self.y - reach_y, self.x + reach_x, self.y + reach_y,
                      height, width)  # fmt: skip
        # x along a row solves a x² + b x y + c y² = 1; by rows, since a photo may have 50 million
        # pixels and one float for each would be too much.
        a = (cos / self.radius_x) ** 2 + (sin / self.radius_y) ** 2
        b = 2 * sin * cos * (self.radius_x**-2 - self.radius_y**-2)
        c = (sin / self.radius_x) ** 2 + (cos / self.radius_y) ** 2
        mask = np.zeros((height, width), dtype=bool)
        for row in range(height):
            y = row + 0.5 - self.y
            square = (b * y) ** 2 - 4 * a * (c * y * y - 1)
            if square >= 0:
                middle, half = self.x - b * y / (2 * a), math.sqrt(square) / (2 * a)
                first = max(0, math.ceil(middle - half - 0.5))
                mask[row, first : max(0, math.floor(middle + half - 0.5) + 1)] = True
        return encode_rle(mask)

    def segmentation(self, rle: dict[str, Any]) -> Any:
        return rle


@dataclass(frozen=True)
class RunLengths:
    """A mask as a COCO file gives it; nothing of it is checked yet."""

    size: Any
    counts: Any

    def run_lengths(self, height: int, width: int) -> dict[str, Any]:
        # Compared before anything is allocated: a file may state any size.
        if not isinstance(self.size, list) or self.size != [height, width]:
            stated = self.size if _is_pair(self.size) else got(self.size)
            raise Faulty("mask_size", f"size: got {stated}, wanted the photo's {[height, width]} "
                         "(height, width)")  # fmt: skip
        return compressed(run_counts(self.counts, height * width), height, width)

    def segmentation(self, rle: dict[str, Any]) -> Any:
        return rle


Shape = Polygons | Ellipse | RunLengths


def rasterize(shape: Shape, height: int, width: int) -> dict[str, Any]:
    """The shape's mask as run lengths, with at least one pixel; raises `Faulty`."""
    rle = shape.run_lengths(height, width)
    if mask_area(rle) == 0:
        raise Faulty("empty_mask", "the shape covers no pixel of the photo")
    return rle


def check_box(box: tuple[float, ...], height: int, width: int) -> None:
    """``box`` XYWH lies in the photo; raises `Faulty`."""
    x, y, box_width, box_height = box
    if box_width < 0 or box_height < 0:
        raise Faulty("malformed", f"bbox: got {list(box)}, wanted x, y, width, height")
    _check_inside(x, y, x + box_width, y + box_height, height, width)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Polygons:
    """The rectangle between two opposite corners."""
    return Polygons(((x0, y0, x1, y0, x1, y1, x0, y1),))


def ring(values: tuple[float, ...]) -> tuple[float, ...]:
    """``x, y, ...`` of at least three points; raises `Faulty`."""
    if len(values) % 2:
        raise Faulty("malformed", f"polygon: {len(values)} numbers, wanted pairs of x and y")
    if len(values) < 6:
        raise Faulty("too_few_points", f"polygon: {len(values) // 2} points, wanted 3 or more")
    return values


def _check_ring(values: tuple[float, ...], height: int, width: int) -> None:
    points = np.array(values).reshape(-1, 2)
    low, high = points.min(axis=0), points.max(axis=0)
    _check_inside(low[0], low[1], high[0], high[1], height, width)
    steps = np.abs(points - np.roll(points, 1, axis=0)).max(axis=1)
    if steps.sum() > LONGEST_OUTLINE:
        raise Faulty(
            "outline_too_long",
            f"polygon: {steps.sum():,.0f} pixels round, wanted at most {LONGEST_OUTLINE:,}",
        )


def _check_inside(
    x_min: float, y_min: float, x_max: float, y_max: float, height: int, width: int
) -> None:
    if x_min < -SLACK or y_min < -SLACK or x_max > width + SLACK or y_max > height + SLACK:
        raise Faulty(
            "box_outside",
            f"from ({x_min:.6g}, {y_min:.6g}) to ({x_max:.6g}, {y_max:.6g}), wanted within the "
            f"photo's {width} x {height} pixels",
        )


def _is_pair(size: Any) -> bool:
    return isinstance(size, list) and len(size) == 2 and all(type(n) is int for n in size)

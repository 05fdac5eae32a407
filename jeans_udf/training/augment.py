"""Augmentation of product photos with their masks and boxes, seeded.

Scale jitter and crop after "Simple Copy-Paste" (Ghiasi et al., 2021), kept mild: a garment must
stay recognisable by its length, which a hard crop would hide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from jeans_udf.geometry import mask_box


@dataclass(frozen=True)
class Jitter:
    """How far photos are changed."""

    longest_side: int
    """Side of the canvas, pixels."""
    scale: tuple[float, float] = (0.6, 1.3)
    """Longer side of the photo relative to the canvas; above 1 it is cropped."""
    rotate: float = 8.0
    """Largest rotation, degrees, applied to half of the photos."""
    colour: float = 0.25
    """Largest relative change of brightness, contrast and saturation."""


@dataclass(frozen=True)
class Placement:
    """Where a photo goes: turned by ``angle`` degrees, mirrored, scaled to ``size``, cut out.

    ``before`` and ``size`` are (width, height) in pixels, ``window`` is XYXY of the scaled photo.
    """

    before: tuple[int, int]
    angle: float
    mirrored: bool
    size: tuple[int, int]
    window: tuple[int, int, int, int]

    def picture(self, picture: Image.Image, resampling: Image.Resampling) -> Image.Image:
        """``picture`` so placed; what turning uncovers is its first pixel's colour."""
        if self.angle:
            fill = picture.getpixel((0, 0))
            turning = min(resampling, Image.Resampling.BILINEAR)
            picture = picture.rotate(self.angle, turning, fillcolor=fill)
        if self.mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return picture.resize(self.size, resampling).crop(self.window)

    def boxes(self, boxes: np.ndarray) -> np.ndarray:
        """``boxes (N, 4) float32`` XYXY so placed: what encloses their corners, clipped."""
        placed = turned_boxes(boxes, self.before, self.angle, self.mirrored)
        zoom = np.array([self.size[0] / self.before[0], self.size[1] / self.before[1]] * 2)
        left, top, right, bottom = self.window
        placed = placed * zoom - np.array([left, top] * 2)
        limits = np.array([right - left, bottom - top] * 2)
        return np.clip(placed, 0, limits).astype(np.float32)


def turned_boxes(
    boxes: np.ndarray, size: tuple[int, int], angle: float, mirrored: bool
) -> np.ndarray:
    """What encloses ``boxes (N, 4)`` XYXY after `Image.rotate` by ``angle`` and mirroring."""
    width, height = size
    corners = boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2).astype(np.float64)
    centre = np.array([width / 2, height / 2])
    # PIL turns counter-clockwise, in a frame whose y axis points down.
    turn = np.deg2rad(-angle)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    corners = (corners - centre) @ matrix.T + centre
    if mirrored:
        corners[:, :, 0] = width - corners[:, :, 0]
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def augment(
    image: np.ndarray, masks: np.ndarray, jitter: Jitter, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, Placement]:
    """A changed copy of ``image (H, W, 3) uint8`` RGB and ``masks (N, H, W) bool``, and how.

    The placement moves boxes that belong to the photo, as proposals do.
    """
    picture = Image.fromarray(image)
    placement = _placement(picture.size, masks, jitter, rng)
    changed = placement.picture(picture, Image.Resampling.BILINEAR)
    layers = [
        placement.picture(Image.fromarray(mask.astype(np.uint8) * 255), Image.Resampling.NEAREST)
        for mask in masks
    ]
    changed = _recolour(changed, jitter.colour, rng)
    shape = (len(layers), changed.height, changed.width)
    stacked = np.stack([np.asarray(layer) > 127 for layer in layers]) if layers else np.zeros(shape)
    return np.asarray(changed), stacked.astype(bool), placement


def _placement(
    before: tuple[int, int], masks: np.ndarray, jitter: Jitter, rng: np.random.Generator
) -> Placement:
    angle = rng.uniform(-jitter.rotate, jitter.rotate) if rng.random() < 0.5 else 0.0
    mirrored = bool(rng.random() < 0.5)
    size = _size(before, jitter, rng)
    boxes = [box for mask in masks if (box := mask_box(mask)) is not None]
    found = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    zoom = np.array([size[0] / before[0], size[1] / before[1]] * 2)
    found = turned_boxes(found, before, angle, mirrored) * zoom
    return Placement(before, angle, mirrored, size, _crop(size, found, jitter.longest_side, rng))


def _size(before: tuple[int, int], jitter: Jitter, rng: np.random.Generator) -> tuple[int, int]:
    longest = jitter.longest_side * rng.uniform(*jitter.scale)
    # A little anisotropy: flat lays are taken at a slant.
    stretch = rng.uniform(0.92, 1.08)
    scale = longest / max(before)
    return max(32, round(before[0] * scale * stretch)), max(32, round(before[1] * scale / stretch))


def _crop(
    size: tuple[int, int], boxes: np.ndarray, side: int, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """A window of at most ``side`` pixels that is centred on a garment when there is one."""
    centre = np.array([rng.uniform(0, size[0]), rng.uniform(0, size[1])])
    if len(boxes):
        left, top, right, bottom = boxes[rng.integers(len(boxes))]
        centre = np.array([(left + right) / 2, (top + bottom) / 2]) + rng.normal(0, side * 0.08, 2)
    window = np.minimum(size, side)
    start = np.clip((centre - window / 2).round().astype(int), 0, np.array(size) - window)
    return int(start[0]), int(start[1]), int(start[0] + window[0]), int(start[1] + window[1])


def _recolour(picture: Image.Image, amount: float, rng: np.random.Generator) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(rng.uniform(1 - amount, 1 + amount))
    return picture

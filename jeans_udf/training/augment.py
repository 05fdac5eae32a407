"""Augmentation of product photos with their masks, seeded.

Scale jitter and crop after "Simple Copy-Paste" (Ghiasi et al., 2021), kept mild: a garment must
stay recognisable by its length, which a hard crop would hide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance


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


def augment(
    image: np.ndarray, masks: np.ndarray, jitter: Jitter, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A changed copy of ``image (H, W, 3) uint8`` RGB and ``masks (N, H, W) bool``."""
    picture = Image.fromarray(image)
    layers = [Image.fromarray(mask.astype(np.uint8) * 255) for mask in masks]
    if rng.random() < 0.5:
        angle = rng.uniform(-jitter.rotate, jitter.rotate)
        fill = tuple(int(v) for v in image[0, 0])
        picture = picture.rotate(angle, Image.Resampling.BILINEAR, fillcolor=fill)
        layers = [layer.rotate(angle) for layer in layers]
    if rng.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        layers = [layer.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for layer in layers]
    size = _size(picture, jitter, rng)
    box = _crop(size, layers, picture.size, jitter.longest_side, rng)
    picture = picture.resize(size, Image.Resampling.BILINEAR).crop(box)
    layers = [layer.resize(size, Image.Resampling.NEAREST).crop(box) for layer in layers]
    picture = _recolour(picture, jitter.colour, rng)
    shape = (len(layers), picture.height, picture.width)
    stacked = np.stack([np.asarray(layer) > 127 for layer in layers]) if layers else np.zeros(shape)
    return np.asarray(picture), stacked.astype(bool)


def _size(picture: Image.Image, jitter: Jitter, rng: np.random.Generator) -> tuple[int, int]:
    longest = jitter.longest_side * rng.uniform(*jitter.scale)
    # A little anisotropy: flat lays are taken at a slant.
    stretch = rng.uniform(0.92, 1.08)
    scale = longest / max(picture.size)
    return (
        max(32, round(picture.width * scale * stretch)),
        max(32, round(picture.height * scale / stretch)),
    )


def _crop(
    size: tuple[int, int],
    layers: list[Image.Image],
    before: tuple[int, int],
    side: int,
    rng: np.random.Generator,
) -> tuple[int, int, int, int]:
    """A window of at most ``side`` pixels that is centred on a garment when there is one."""
    centre = np.array([rng.uniform(0, size[0]), rng.uniform(0, size[1])])
    boxes = [box for layer in layers if (box := layer.getbbox())]
    if boxes:
        left, top, right, bottom = boxes[rng.integers(len(boxes))]
        zoom = np.array([size[0] / before[0], size[1] / before[1]])
        centre = np.array([(left + right) / 2, (top + bottom) / 2]) * zoom
        centre = centre + rng.normal(0, side * 0.08, 2)
    window = np.minimum(size, side)
    start = np.clip((centre - window / 2).round().astype(int), 0, np.array(size) - window)
    return int(start[0]), int(start[1]), int(start[0] + window[0]), int(start[1] + window[1])


def _recolour(picture: Image.Image, amount: float, rng: np.random.Generator) -> Image.Image:
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(rng.uniform(1 - amount, 1 + amount))
    return picture

"""Thumbnails, mask overlays and cut-outs for the page; numpy and Pillow only."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from jeans_udf.report.data import Picture

PHOTO_SIDE = 480
CROP_SIDE = 200
TINT_ALPHA = 52
"""Of 255: strong enough to see what is covered, and the cloth stays visible."""
RIM_ALPHA = 235
RIM_PIXELS = 3
MAX_CROP_PIXELS = 60_000_000
PAGE_BYTES = 24_000_000
"""Most bytes of pictures on a page; a third more once they are text."""

SIDES = ((700, PHOTO_SIDE, CROP_SIDE), (1_300, 320, 160), (2_500, 224, 128))
"""Up to so many photos: longest side of each, and of its cut-outs, in pixels; street photos of that
many, of about 19, 10 and 6 kB, fill a page by four fifths."""


class Album:
    """Encodes pictures until ``limit`` bytes are used; later ones are None, and counted."""

    def __init__(
        self, limit: int = PAGE_BYTES, photo_side: int = PHOTO_SIDE, crop_side: int = CROP_SIDE
    ) -> None:
        self.limit, self.used, self.left_out = limit, 0, 0
        self.photo_side, self.crop_side = photo_side, crop_side

    @classmethod
    def of_photos(cls, count: int) -> Album:
        """One in which so many photos have room with their cut-outs: the more, the smaller."""
        sides = next((sides for most, *sides in SIDES if count <= most), SIDES[-1][1:])
        return cls(PAGE_BYTES, *sides)

    def photo(self, pixels: np.ndarray) -> Picture | None:
        """A thumbnail of ``pixels (H, W, 3) uint8`` RGB."""
        return self._keep(_encode(Image.fromarray(shrink(pixels, self.photo_side)), quality=76))

    def overlay(
        self,
        height: int,
        width: int,
        masks: Sequence[np.ndarray],
        colours: Sequence[tuple[int, int, int]],
    ) -> Picture | None:
        """The masks of a photo of that size, as `photo` shrinks it."""
        layer = Image.fromarray(tint(*_fitted(height, width, self.photo_side), masks, colours))
        # Few flat colours: lossless is smaller here, and a lossy rim would smear.
        return self._keep(_encode(layer, lossless=True))

    def crop(self, png: bytes | None) -> Picture | None:
        """A cut-out with alpha, reduced; None if it cannot be read."""
        try:
            with Image.open(io.BytesIO(png or b""), formats=("PNG",)) as image:
                if image.width * image.height > MAX_CROP_PIXELS:
                    return None
                cutout = image.convert("RGBA")
        except Exception:
            # Pillow raises nearly anything for a damaged file, and a page needs no single crop.
            return None
        cutout.thumbnail((self.crop_side, self.crop_side), Image.Resampling.LANCZOS)
        return self._keep(_encode(cutout, quality=80))

    def _keep(self, picture: Picture) -> Picture | None:
        if self.used + len(picture.data) > self.limit:
            self.left_out += 1
            return None
        self.used += len(picture.data)
        return picture


def shrink(pixels: np.ndarray, longest: int) -> np.ndarray:
    """``(H, W, 3) uint8`` with a longer side of at most ``longest``; never enlarged."""
    height, width = _fitted(pixels.shape[0], pixels.shape[1], longest)
    if (height, width) == pixels.shape[:2]:
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0))


def tint(
    height: int,
    width: int,
    masks: Sequence[np.ndarray],
    colours: Sequence[tuple[int, int, int]],
) -> np.ndarray:
    """``(height, width, 4) uint8`` RGBA: each mask ``(H, W) bool`` in its colour, with a rim.

    Masks are scaled to the size asked for; where two overlap, the earlier (better) one is seen.
    Pixels outside every mask are wholly transparent.
    """
    layer = np.zeros((height, width, 4), dtype=np.uint8)
    for mask, colour in reversed(list(zip(masks, colours, strict=True))):
        inside = _scaled(mask, height, width)
        layer[inside] = (*colour, TINT_ALPHA)
        layer[inside & ~_eroded(inside, RIM_PIXELS)] = (*colour, RIM_ALPHA)
    return layer


def _scaled(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    if mask.shape == (height, width):
        return mask.astype(bool)
    grey = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(grey.resize((width, height), Image.Resampling.BOX)) >= 128


def _eroded(mask: np.ndarray, pixels: int) -> np.ndarray:
    """``mask`` less a rim of that many pixels; the picture's own edge is no rim."""
    for _ in range(pixels):
        padded = np.pad(mask, 1, constant_values=True)
        sides = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
        mask = mask & sides[0] & sides[1] & sides[2] & sides[3]
    return mask


def _fitted(height: int, width: int, longest: int) -> tuple[int, int]:
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _encode(image: Image.Image, quality: int = 100, lossless: bool = False) -> Picture:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, lossless=lossless, method=4)
    return Picture(buffer.getvalue(), image.width, image.height)

"""The sheet a picture is painted on; it knows which pixels show which garment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from jeans_udf.drawing.colours import Colour

Points = Sequence[tuple[float, float]]


class Canvas:
    """``rgb`` (H, W, 3) float32 in 0..1; ``owner`` (H, W) uint8: 0, or the garment's number.

    Painting anything over a garment takes the covered pixels away from it, so that the masks are
    exact whatever the order of the drawing.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.rgb = np.ones((height, width, 3), np.float32)
        self.owner = np.zeros((height, width), np.uint8)

    def paint(
        self,
        colour: np.ndarray | Colour,
        alpha: np.ndarray,
        at: tuple[int, int] = (0, 0),
        owner: int = 0,
    ) -> None:
        """Lay ``colour`` (one RGB or (h, w, 3)) through ``alpha`` (h, w); corner ``at`` x, y."""
        window = self._window(alpha.shape, at)
        if window is None:
            return
        here, there = window
        part = alpha[there]
        cover = part[..., None]
        paint = np.asarray(colour, np.float32)
        if paint.ndim == 3:
            paint = paint[there]
        below = self.rgb[here]
        below += (paint - below) * cover
        self.owner[here][part >= 0.5] = owner

    def shade(self, factor: np.ndarray, at: tuple[int, int] = (0, 0)) -> None:
        """Multiply by ``factor`` (h, w); what is shown stays whose it was."""
        window = self._window(factor.shape, at)
        if window is not None:
            self.rgb[window[0]] *= factor[window[1]][..., None]

    def shadow(
        self, alpha: np.ndarray, at: tuple[int, int], shift: tuple[float, float], blur: float,
        strength: float,
    ) -> None:
        """A soft shadow of the shape ``alpha``, thrown by ``shift`` px."""
        # At a quarter of the size: a shadow has no detail, and the blur costs a sixteenth.
        pad = int(blur * 2.5) + 4
        small = Image.fromarray((np.pad(alpha, pad) * 255).astype(np.uint8)).reduce(4)
        small = small.filter(ImageFilter.GaussianBlur(blur / 4))
        size = (small.width * 4, small.height * 4)
        soft = np.asarray(small.resize(size, Image.Resampling.BILINEAR), np.float32) / 255
        corner = (at[0] - pad + round(shift[0]), at[1] - pad + round(shift[1]))
        self.shade(1.0 - soft * strength, corner)

    def _window(
        self, shape: tuple[int, ...], at: tuple[int, int]
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        x, y = at
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + shape[1], self.width), min(y + shape[0], self.height)
        if left >= right or top >= bottom:
            return None
        return (slice(top, bottom), slice(left, right)), (
            slice(top - y, bottom - y),
            slice(left - x, right - x),
        )


def shape_mask(points: Points, sharpness: int = 3) -> tuple[np.ndarray, tuple[int, int]]:
    """Antialiased polygon: alpha (h, w) float32 and its corner x, y."""
    array = np.asarray(points, np.float32)
    low = np.floor(array.min(0)).astype(int) - 1
    size = np.ceil(array.max(0)).astype(int) + 2 - low
    # A shape that lies mostly outside the picture must not cost a giant sheet.
    size = np.minimum(size, 4000)
    sheet = Image.new("L", (int(size[0]) * sharpness, int(size[1]) * sharpness))
    ImageDraw.Draw(sheet).polygon(
        [tuple(p) for p in ((array - low) * sharpness).tolist()], fill=255
    )
    alpha = np.asarray(sheet.reduce(sharpness), np.float32) / 255
    return alpha, (int(low[0]), int(low[1]))


def rounded(alpha: np.ndarray, depth: float, radius: float) -> np.ndarray:
    """(h, w) factors that darken a shape towards its rim, as if it bulged."""
    image = Image.fromarray((alpha * 255).astype(np.uint8))
    factor = 4 if min(alpha.shape) > 32 and radius > 4 else 1
    small = image.reduce(factor).filter(ImageFilter.GaussianBlur(radius / factor))
    soft = np.asarray(small.resize(image.size, Image.Resampling.BILINEAR), np.float32) / 255
    return 1.0 - depth + depth * np.clip(soft * 1.6 - 0.5, 0.0, 1.0) * 1.15


def curve(points: Points, steps: int = 8, closed: bool = False) -> list[tuple[float, float]]:
    """A smooth line through ``points`` (Catmull-Rom), for outlines of anything grown or sewn."""
    p = np.asarray(points, np.float64)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    line = 0.5 * (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    line = line.reshape(-1, 2)
    if not closed:
        line = np.concatenate([line, p[-2:-1]])
    return [(float(x), float(y)) for x, y in line]


class Pen:
    """Strokes on a sheet of twice the size, laid over a cutout at the end: seams, cords."""

    ZOOM = 2

    def __init__(self, height: int, width: int) -> None:
        self.sheet = Image.new("RGBA", (width * self.ZOOM, height * self.ZOOM))
        self._draw = ImageDraw.Draw(self.sheet)

    def line(self, points: Points, colour: Colour, width: float, alpha: float = 1.0) -> None:
        size = max(1, round(width * self.ZOOM))
        self._draw.line(self._scaled(points), self._ink(colour, alpha), size, joint="curve")

    def stitches(self, points: Points, colour: Colour, width: float, dash: float) -> None:
        """A dashed line: thread that shows, then dives under the cloth."""
        path = np.asarray(points, np.float64)
        steps = np.hypot(*np.diff(path, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        for start in np.arange(0.0, along[-1], dash * 1.5):
            ends = np.array([start, min(start + dash, along[-1])])
            xs, ys = (np.interp(ends, along, path[:, i]) for i in (0, 1))
            self.line(list(zip(xs.tolist(), ys.tolist(), strict=True)), colour, width)

    def polygon(self, points: Points, colour: Colour, alpha: float = 1.0) -> None:
        self._draw.polygon(self._scaled(points), self._ink(colour, alpha))

    def spot(self, x: float, y: float, radius: float, colour: Colour, alpha: float = 1.0) -> None:
        box = [(x - radius, y - radius), (x + radius, y + radius)]
        self._draw.ellipse(self._scaled(box), self._ink(colour, alpha))

    def layers(self) -> tuple[np.ndarray, np.ndarray]:
        """Premultiplied (h, w, 3) and alpha (h, w), float32 in 0..1."""
        array = np.asarray(self.sheet.convert("RGBa").reduce(self.ZOOM), np.float32) / 255
        return array[..., :3], array[..., 3]

    def _scaled(self, points: Points) -> list[tuple[float, float]]:
        return [(x * self.ZOOM, y * self.ZOOM) for x, y in points]

    @staticmethod
    def _ink(colour: Colour, alpha: float) -> tuple[int, ...]:
        return tuple(int(min(max(c, 0.0), 1.0) * 255) for c in (*colour, alpha))

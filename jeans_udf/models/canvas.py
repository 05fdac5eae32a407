"""A picture made ready for a detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from jeans_udf.geometry import fit_within, padded_size

SIZE_DIVISOR = 32


@dataclass(frozen=True)
class Canvas:
    """A decoded image made ready for the detector.

    ``pixels (3, H, W) uint8``, RGB, padded at the right and bottom; ``scaled`` the (height, width)
    of the picture on it; ``original`` the upright image's.
    """

    pixels: torch.Tensor
    scaled: tuple[int, int]
    original: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[2]

    @property
    def picture(self) -> torch.Tensor:
        """The picture without its padding, (3, h, w) uint8."""
        return self.pixels[:, : self.scaled[0], : self.scaled[1]]

    @property
    def zoom(self) -> np.ndarray:
        """(4,) float32: what XYXY in pixels of the canvas times it is in the upright image's."""
        scale_x = self.original[1] / self.scaled[1]
        scale_y = self.original[0] / self.scaled[0]
        return np.array([scale_x, scale_y] * 2, dtype=np.float32)


def prepare_canvas(
    image: np.ndarray, longest_side: int, original: tuple[int, int] | None = None
) -> Canvas:
    """Scale ``image (h, w, 3) uint8`` to ``longest_side`` and pad it with the mean.

    ``original`` is the (height, width) of the upright image where ``image`` shows it reduced.
    """
    height, width = original or image.shape[:2]
    h, w, _ = fit_within(height, width, longest_side)
    scaled = np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR))
    canvas_h, canvas_w = padded_size(h, w, SIZE_DIVISOR)
    # The mean colour, which the model sees as zero: what Detectron2 pads a batch with.
    pixels = np.full((canvas_h, canvas_w, 3), 127, dtype=np.uint8)
    pixels[:h, :w] = scaled
    return Canvas(
        torch.from_numpy(pixels.transpose(2, 0, 1).copy()), (h, w), (height, width)
    )

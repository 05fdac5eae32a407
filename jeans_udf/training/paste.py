"""Copy-paste: garments cut out by their masks and laid on photos that show none.

After "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation" (Ghiasi et
al., 2021). Pasted on photos without garments only, so that no annotated garment is covered and
each mask stays exact. It teaches that the background tells nothing about the garment.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from jeans_udf.geometry import mask_box

LEAST_SHARE, MOST_SHARE = 0.35, 0.9
"""Longer side of a pasted garment relative to the background's, as product photos show them."""


def paste_garments(
    background: np.ndarray, image: np.ndarray, masks: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """``image``'s garments on ``background``: pixels (H, W, 3) uint8 RGB, masks (N, H, W) bool.

    ``background`` and ``image`` are RGB uint8, ``masks (N, h, w) bool`` belong to ``image``. The
    garments keep their places among each other. The background keeps its size.
    """
    box = mask_box(np.asarray(masks.any(axis=0))) if len(masks) else None
    height, width = background.shape[:2]
    if box is None:
        return background, np.zeros((0, height, width), dtype=bool)
    left, top, right, bottom = (int(round(float(v))) for v in box)
    cut = Image.fromarray(image[top:bottom, left:right])
    longest = rng.uniform(LEAST_SHARE, MOST_SHARE) * max(height, width)
    scale = min(longest / max(cut.size), width / cut.width, height / cut.height)
    size = max(1, round(cut.width * scale)), max(1, round(cut.height * scale))
    x = int(rng.integers(0, max(1, width - size[0] + 1)))
    y = int(rng.integers(0, max(1, height - size[1] + 1)))
    pasted = np.zeros((len(masks), height, width), dtype=bool)
    for k, mask in enumerate(masks):
        layer = Image.fromarray(mask[top:bottom, left:right].astype(np.uint8) * 255)
        inside = np.asarray(layer.resize(size, Image.Resampling.BILINEAR)) > 127
        pasted[k, y : y + size[1], x : x + size[0]] = inside
    # A soft edge: a hard one would be what the model learns to find.
    alpha = Image.fromarray(pasted.any(axis=0).astype(np.uint8) * 255)
    alpha = alpha.filter(ImageFilter.GaussianBlur(0.8))
    canvas = Image.fromarray(background)
    front = canvas.copy()
    front.paste(cut.resize(size, Image.Resampling.BILINEAR), (x, y))
    return np.asarray(Image.composite(front, canvas, alpha)), pasted

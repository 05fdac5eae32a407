from __future__ import annotations

import numpy as np

from jeans_udf.training.paste import paste_garments


def _garment() -> tuple[np.ndarray, np.ndarray]:
    """Red trousers in two pieces on white, (60, 40), and a mask for each piece."""
    image = np.full((60, 40, 3), 255, dtype=np.uint8)
    masks = np.zeros((2, 60, 40), dtype=bool)
    masks[0, 10:50, 8:16] = masks[1, 10:50, 24:32] = True
    image[masks.any(axis=0)] = (200, 0, 0)
    return image, masks


def test_the_masks_are_where_the_garment_lies_and_nothing_else_changes() -> None:
    image, masks = _garment()
    background = np.full((120, 100, 3), (0, 90, 0), dtype=np.uint8)
    for seed in range(20):
        pasted, moved = paste_garments(background, image, masks, np.random.default_rng(seed))
        assert pasted.shape == background.shape and moved.shape == (2, 120, 100)
        red = pasted[:, :, 0] > 100
        overlap = (red & moved.any(axis=0)).sum() / (red | moved.any(axis=0)).sum()
        assert overlap > 0.9, f"seed {seed}: {overlap:.2f}"
        assert not (moved[0] & moved[1]).any() and moved.any(axis=(1, 2)).all()
        # No white of the garment's own photo came along, but for the soft edge.
        assert (pasted[~moved.any(axis=0)][:, 2] > 60).mean() < 0.1
    assert (background == (0, 90, 0)).all(), "the background itself stays as it was"


def test_without_a_garment_the_background_stays() -> None:
    image, masks = _garment()
    background = np.zeros((30, 30, 3), dtype=np.uint8)
    for none in (masks[:0], np.zeros_like(masks)):
        pasted, moved = paste_garments(background, image, none, np.random.default_rng(0))
        assert (pasted == background).all() and moved.shape == (0, 30, 30)


def test_a_garment_larger_than_the_background_is_scaled_into_it() -> None:
    image, masks = _garment()
    large = np.kron(image, np.ones((8, 8, 1), dtype=np.uint8))
    grown = np.kron(masks, np.ones((1, 8, 8), dtype=bool))
    pasted, moved = paste_garments(
        np.zeros((20, 200, 3), dtype=np.uint8), large, grown, np.random.default_rng(1)
    )
    assert moved.any() and pasted.shape == (20, 200, 3)

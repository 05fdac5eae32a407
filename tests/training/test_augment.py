from __future__ import annotations

import numpy as np

from jeans_udf.training.augment import Jitter, augment


def _picture() -> tuple[np.ndarray, np.ndarray]:
    """Grey with a blue garment, and the garment's mask."""
    image = np.full((120, 80, 3), 128, dtype=np.uint8)
    mask = np.zeros((1, 120, 80), dtype=bool)
    mask[0, 30:100, 25:55] = True
    image[mask[0]] = (20, 40, 220)
    return image, mask


def test_masks_follow_the_pixels() -> None:
    image, masks = _picture()
    for seed in range(20):
        changed, moved = augment(image, masks, Jitter(64), np.random.default_rng(seed))
        assert changed.shape[:2] == moved.shape[1:] and max(changed.shape[:2]) <= 64
        blue = changed[:, :, 2].astype(int) - changed[:, :, 0] > 60
        overlap = (blue & moved[0]).sum() / max(1, (blue | moved[0]).sum())
        assert overlap > 0.8, f"seed {seed}: mask and garment overlap by {overlap:.2f} only"


def test_the_garment_stays_in_the_crop() -> None:
    image, masks = _picture()
    for seed in range(20):
        _, moved = augment(image, masks, Jitter(64, scale=(1.3, 1.3)), np.random.default_rng(seed))
        assert moved.any()


def test_the_same_seed_gives_the_same_picture() -> None:
    image, masks = _picture()
    first, again = (augment(image, masks, Jitter(64), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    other = augment(image, masks, Jitter(64), np.random.default_rng(6))
    assert other[0].shape != first[0].shape or (other[0] != first[0]).any()


def test_a_photo_without_garments_keeps_an_empty_stack_of_masks() -> None:
    image, _ = _picture()
    changed, masks = augment(image, np.zeros((0, 0, 0), bool), Jitter(64), np.random.default_rng(0))
    assert masks.shape == (0, *changed.shape[:2])

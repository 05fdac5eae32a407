from __future__ import annotations

import numpy as np

from jeans_udf.geometry import box_iou, mask_box
from jeans_udf.training.augment import Jitter, Placement, augment, turned_boxes


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
        changed, moved, _ = augment(image, masks, Jitter(64), np.random.default_rng(seed))
        assert changed.shape[:2] == moved.shape[1:] and max(changed.shape[:2]) <= 64
        blue = changed[:, :, 2].astype(int) - changed[:, :, 0] > 60
        overlap = (blue & moved[0]).sum() / max(1, (blue | moved[0]).sum())
        assert overlap > 0.8, f"seed {seed}: mask and garment overlap by {overlap:.2f} only"


def test_the_garment_stays_in_the_crop() -> None:
    image, masks = _picture()
    for seed in range(20):
        jitter = Jitter(64, scale=(1.3, 1.3))
        _, moved, _ = augment(image, masks, jitter, np.random.default_rng(seed))
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
    none = np.zeros((0, 0, 0), bool)
    changed, masks, _ = augment(image, none, Jitter(64), np.random.default_rng(0))
    assert masks.shape == (0, *changed.shape[:2])


def test_boxes_follow_the_pixels() -> None:
    """The garment's box, moved, encloses the garment's moved mask, and closely."""
    image, masks = _picture()
    box = mask_box(masks[0])
    assert box is not None
    for seed in range(30):
        _, moved, placement = augment(image, masks, Jitter(64), np.random.default_rng(seed))
        truth = mask_box(moved[0])
        assert truth is not None
        overlap = box_iou(placement.boxes(box[None]), truth[None])[0, 0]
        # Turned by up to 8 degrees, what encloses the corners is a little larger than the mask.
        assert overlap > (0.9 if placement.angle == 0 else 0.7), f"seed {seed}: {overlap:.2f}"


def test_a_box_turned_by_a_quarter_and_mirrored_by_hand() -> None:
    # Counter-clockwise by 90 degrees about (50, 50): (x, y) goes to (y, 100 - x).
    turned = turned_boxes(np.array([[10.0, 20, 30, 60]]), (100, 100), 90, mirrored=False)
    np.testing.assert_allclose(turned, [[20, 70, 60, 90]], atol=1e-9)
    mirrored = turned_boxes(np.array([[10.0, 20, 30, 60]]), (100, 100), 0, mirrored=True)
    np.testing.assert_allclose(mirrored, [[70, 20, 90, 60]], atol=1e-9)


def test_boxes_are_clipped_to_the_window() -> None:
    placement = Placement((100, 100), 0.0, False, (200, 200), (50, 50, 150, 150))
    np.testing.assert_allclose(placement.boxes(np.array([[0.0, 30, 40, 90]])), [[0, 10, 30, 100]])

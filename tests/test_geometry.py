"""Sizes, boxes and masks: answers worked out by hand, or pycocotools' own."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from jeans_udf.geometry import (
    box_iou,
    clip_boxes,
    cutout,
    decode_rle,
    encode_rle,
    fit_within,
    mask_area,
    mask_box,
    padded_size,
)

# pycocotools asks numpy for an array in the way of numpy 1.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize(
    ("size", "longest", "wanted"),
    [
        ((400, 300), 320, (320, 240, 0.8)),
        ((300, 400), 320, (240, 320, 0.8)),
        ((10, 10), 320, (320, 320, 32.0)),
        ((1000, 1), 100, (100, 1, 0.1)),  # 0.1 pixels wide: at least one
        ((200, 101), 100, (100, 51, 0.5)),  # 50.5 goes up
        ((200, 99), 100, (100, 50, 0.5)),  # and so does 49.5: halves do not go to even
        ((7, 7), 7, (7, 7, 1.0)),
    ],
)
def test_fit_within(
    size: tuple[int, int], longest: int, wanted: tuple[int, int, float]
) -> None:
    assert fit_within(*size, longest) == pytest.approx(wanted)


def test_longest_side_is_met_for_every_size() -> None:
    for side in range(1, 3000):
        h, w, _ = fit_within(side, 1, 320)
        assert (h, max(h, w)) == (320, 320)


def test_padded_size() -> None:
    assert padded_size(320, 240) == (320, 256)
    assert padded_size(1, 33) == (32, 64)
    assert padded_size(5, 8, multiple=4) == (8, 8)


def test_iou_by_hand() -> None:
    a = np.array([[0, 0, 2, 2], [5, 5, 6, 6]], dtype=np.float32)
    b = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2]], dtype=np.float32)
    # The first two share 1 pixel of 4 + 4 - 1 = 7; the last one only touches.
    assert box_iou(a, b) == pytest.approx(np.array([[1 / 7, 1, 0], [0, 0, 0]]))


def test_iou_agrees_with_pycocotools() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0, 50, (n, 4)).astype(np.float32) for n in (20, 30))
    a[:, 2:] += a[:, :2]
    b[:, 2:] += b[:, :2]
    as_xywh = [np.c_[x[:, :2], x[:, 2:] - x[:, :2]].astype(np.float64) for x in (a, b)]
    assert box_iou(a, b) == pytest.approx(coco.iou(*as_xywh, [0] * 30), abs=1e-6)


def test_iou_of_nothing_and_of_boxes_without_area() -> None:
    none, point = np.zeros((0, 4), np.float32), np.array([[3, 3, 3, 3]], np.float32)
    assert box_iou(none, point).shape == (0, 1)
    assert box_iou(point, none).shape == (1, 0)
    assert box_iou(point, point) == 0
    inverted = np.array([[4, 4, 1, 1]], np.float32)
    assert box_iou(inverted, np.array([[0, 0, 5, 5]], np.float32)) == 0


def test_boxes_are_clipped_to_the_image_and_copied() -> None:
    boxes = np.array([[-5, -1, 30, 40], [1, 2, 3, 4], [50, 60, 70, 80]], dtype=np.float32)
    clipped = clip_boxes(boxes, height=20, width=10)
    assert clipped.tolist() == [[0, 0, 10, 20], [1, 2, 3, 4], [10, 20, 10, 20]]
    assert clipped.dtype == np.float32 and boxes[0, 0] == -5
    assert clip_boxes(np.zeros((0, 4), np.float32), 5, 5).shape == (0, 4)


def test_rle_of_a_known_mask() -> None:
    mask = np.zeros((3, 4), dtype=bool)
    mask[1:, 2] = True
    rle = encode_rle(mask)
    # Runs go down the columns: 7 zeros (two columns and one pixel), 2 ones, 3 zeros.
    assert rle == {"size": [3, 4], "counts": "723"}
    assert mask_area(rle) == 2
    assert np.array_equal(decode_rle(rle), mask)
    assert coco.decode(rle).tolist() == mask.astype(int).tolist()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (40, 60)])
def test_rle_there_and_back(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    for share in (0, 0.3, 1):
        mask = rng.random(shape) < share
        for laid_out in (mask, np.asfortranarray(mask), mask[::-1, ::-1]):
            back = decode_rle(encode_rle(laid_out))
            assert back.dtype == bool and np.array_equal(back, laid_out)
        assert mask_area(encode_rle(mask)) == mask.sum()


def test_mask_box_is_tight() -> None:
    mask = np.zeros((6, 8), dtype=bool)
    assert mask_box(mask) is None
    mask[2, 3] = mask[4, 5] = True
    box = mask_box(mask)
    assert box is not None and box.dtype == np.float32 and box.tolist() == [3, 2, 6, 5]
    x, y, w, h = coco.toBbox(encode_rle(mask))
    assert box.tolist() == [x, y, x + w, y + h]


@pytest.fixture
def image() -> np.ndarray:
    """(6, 8, 3) uint8, every value its own and none zero."""
    return np.arange(1, 145, dtype=np.uint8).reshape(6, 8, 3)


def test_cutout_shows_the_mask_and_nothing_else(image: np.ndarray) -> None:
    mask = np.zeros((6, 8), dtype=bool)
    mask[2, 3] = mask[4, 5] = True
    crop = cutout(image, mask, np.array([0, 0, 8, 6], np.float32))
    wanted = np.zeros((3, 3, 4), dtype=np.uint8)
    wanted[0, 0] = (*image[2, 3], 255)
    wanted[2, 2] = (*image[4, 5], 255)
    assert crop.dtype == np.uint8 and np.array_equal(crop, wanted)


def test_cutout_without_a_mask_is_the_box(image: np.ndarray) -> None:
    crop = cutout(image, None, np.array([1.2, 2.9, 3.1, 4], np.float32))
    # Columns 1 to 3 and rows 2 to 3 are touched.
    assert crop.shape == (2, 3, 4) and (crop[..., 3] == 255).all()
    assert np.array_equal(crop[..., :3], image[2:4, 1:4])
    assert not np.shares_memory(crop, image)


def test_cutout_of_an_empty_mask_leaks_nothing(image: np.ndarray) -> None:
    crop = cutout(image, np.zeros((6, 8), bool), np.array([1, 1, 4, 3], np.float32))
    assert crop.shape == (2, 3, 4) and not crop.any()


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ([3, 3, 3, 3], (3, 3)),
        ([-9, -9, -5, -5], (0, 0)),
        ([50, 50, 60, 60], (5, 7)),
        ([4, 4, 2, 2], (4, 4)),
    ],
)
def test_cutout_is_never_empty(
    image: np.ndarray, box: list[float], wanted: tuple[int, int]
) -> None:
    crop = cutout(image, None, np.array(box, np.float32))
    assert crop.shape == (1, 1, 4) and crop[0, 0].tolist() == [*image[wanted], 255]


def test_cutout_refuses_a_mask_of_another_image(image: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(5, 8\).*\(6, 8\)"):
        cutout(image, np.ones((5, 8), bool), np.array([0, 0, 1, 1], np.float32))

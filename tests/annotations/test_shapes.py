"""Outlines to masks: by hand, and as pycocotools fills them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own import HEIGHT, SQUARE, WIDTH, square_mask
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from jeans_udf.annotations.faults import Faulty
from jeans_udf.annotations.outlines import mask_outline
from jeans_udf.annotations.runlengths import compressed, run_counts
from jeans_udf.annotations.shapes import (
    Ellipse,
    Polygons,
    RunLengths,
    check_box,
    rasterize,
    rectangle,
    ring,
)
from jeans_udf.geometry import decode_rle, encode_rle


def mask_of(shape: object) -> np.ndarray:
    return decode_rle(rasterize(shape, HEIGHT, WIDTH))  # type: ignore[arg-type]


def fault(shape: object) -> str:
    with pytest.raises(Faulty) as caught:
        rasterize(shape, HEIGHT, WIDTH)  # type: ignore[arg-type]
    return caught.value.code


def test_a_polygon_and_a_rectangle_on_whole_pixels_are_exact() -> None:
    assert np.array_equal(mask_of(Polygons((tuple(SQUARE),))), square_mask())
    assert np.array_equal(mask_of(rectangle(30, 25, 10, 5)), square_mask())


def test_a_polygon_fills_the_pixels_that_the_coco_class_fills() -> None:
    rings = [[3.2, 4.7, 50.1, 9.9, 31.6, 38.4], [1.0, 30.0, 12.5, 30.0, 7.3, 39.0]]
    coco = COCO()
    coco.dataset = {"images": [{"id": 1, "height": HEIGHT, "width": WIDTH}], "categories": [],
                    "annotations": [{"id": 1, "image_id": 1, "category_id": 1,
                                     "segmentation": rings}]}  # fmt: skip
    coco.createIndex()
    expected = coco.annToMask(coco.anns[1]).astype(bool)
    assert 760 < expected.sum() < 776
    assert np.array_equal(mask_of(Polygons(tuple(map(tuple, rings)))), expected)


def test_a_circle_and_a_turned_ellipse() -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    circle = (columns - 30) ** 2 + (rows - 20) ** 2 <= 100
    assert np.array_equal(mask_of(Ellipse(30, 20, 10, 10)), circle)
    turned = mask_of(Ellipse(30, 20, 18, 6, math.pi / 2))
    assert np.array_equal(turned, mask_of(Ellipse(30, 20, 6, 18)))
    slanted = mask_of(Ellipse(30, 20, 18, 6, math.pi / 6))
    # Clockwise as seen: the long axis points down to the right.
    assert slanted[20 + 7, 30 + 12] and not slanted[20 - 7, 30 + 12]
    assert slanted.sum() == pytest.approx(math.pi * 18 * 6, rel=0.03)


def test_run_lengths_compressed_or_not() -> None:
    rle = encode_rle(square_mask())
    assert np.array_equal(mask_of(RunLengths(rle["size"], rle["counts"])), square_mask())
    flat = square_mask().T.reshape(-1)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flat, [False])).astype(int)))
    counts = np.diff(np.concatenate(([0], edges, [flat.size]))).tolist()
    assert np.array_equal(mask_of(RunLengths([HEIGHT, WIDTH], counts)), square_mask())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60), st.floats(0, 1))
def test_run_lengths_are_read_as_pycocotools_wrote_them(seed, height, width, share) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    rle = encode_rle(mask)
    counts = run_counts(rle["counts"], height * width)
    assert counts.sum() == height * width and counts[1::2].sum() == mask.sum()
    assert compressed(counts, height, width) == rle


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=[chr(c) for c in range(40, 120)], max_size=12))
def test_any_text_is_run_lengths_or_a_fault(text) -> None:
    try:
        counts = run_counts(text, 600)
    except Faulty as caught:
        assert caught.code == "bad_mask"
        return
    assert counts.sum() == 600 and counts.min() >= 0
    mask = coco_mask.decode({"size": [20, 30], "counts": text.encode()})
    assert mask.sum() == counts[1::2].sum()


@pytest.mark.parametrize(
    "counts",
    ["", "0o", "\x7f", "é", [2400, 1], [-5, 2405], [2400.0], [True], "a" * 5_000_000, None, 7,
     [10**30], "_____" * 3],
)  # fmt: skip
def test_broken_run_lengths_are_a_fault(counts) -> None:
    assert fault(RunLengths([HEIGHT, WIDTH], counts)) == "bad_mask"


@pytest.mark.parametrize("size", [[WIDTH, HEIGHT], [10**9, 10**9], [40], "40", None, {}, [[], []]])
def test_a_mask_of_another_size_is_a_fault_before_anything_is_allocated(size) -> None:
    assert fault(RunLengths(size, "0")) == "mask_size"


def test_shapes_that_reach_out_or_cover_nothing() -> None:
    assert fault(rectangle(-1.5, 0, 5, 5)) == "box_outside"
    assert fault(rectangle(0, 0, 5, 1e300)) == "box_outside"
    assert fault(Ellipse(30, 20, 25, 10, math.pi / 2)) == "box_outside"
    assert fault(Ellipse(30, 20, 1e308, 1e308)) == "box_outside"
    assert fault(Ellipse(30, 20, 0, 10)) == "empty_mask"
    assert fault(rectangle(3, 3, 3, 9)) == "empty_mask"
    assert fault(RunLengths([HEIGHT, WIDTH], [HEIGHT * WIDTH])) == "empty_mask"
    zigzag = tuple(v for n in range(40_000) for v in (60 * (n % 2), n % 40))
    assert fault(Polygons((zigzag,))) == "outline_too_long"


def test_half_a_pixel_too_far_is_cut_off() -> None:
    assert np.array_equal(mask_of(rectangle(-0.5, -0.5, 60.5, 40.5)), np.ones((HEIGHT, WIDTH)))


def test_points_and_boxes_are_checked() -> None:
    for values, code in (((1.0, 2.0, 3.0, 4.0), "too_few_points"), ((1.0,) * 7, "malformed")):
        with pytest.raises(Faulty) as caught:
            ring(values)
        assert caught.value.code == code
    check_box((0, 0, 60, 40), HEIGHT, WIDTH)
    for box, code in (((0, 0, 60, 42), "box_outside"), ((5, 5, -1, 3), "malformed")):
        with pytest.raises(Faulty) as caught:
            check_box(box, HEIGHT, WIDTH)
        assert caught.value.code == code


def test_a_masks_outline_fills_it_again() -> None:
    mask = square_mask()
    mask[10:14, 15:20] = False  # a hole
    mask[30:38, 0:60] = True  # another part, at three edges
    mask[2, 50] = True  # a single pixel
    flat = [value for point in mask_outline(mask) for value in point]
    assert np.array_equal(mask_of(Polygons((tuple(flat),))), mask)
    assert mask_outline(np.zeros((5, 5), dtype=bool)) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_outlines_of_odd_masks_are_near(seed) -> None:
    coarse = np.random.default_rng(seed).random((5, 6)) < 0.5
    mask = np.kron(coarse, np.ones((8, 10))).astype(bool)
    if not mask.any():
        return
    found = mask_of(Polygons((tuple(v for point in mask_outline(mask) for v in point),)))
    assert (found & mask).sum() / (found | mask).sum() > 0.97

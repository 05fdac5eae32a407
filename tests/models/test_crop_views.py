from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from jeans_udf.geometry import cutout
from jeans_udf.models.views import GREY, VIEWS, View, cut_view, fit_square

HEIGHT, WIDTH = 6, 8
BOX = np.array([2, 1, 6, 5], dtype=np.float32)


@pytest.fixture
def image() -> np.ndarray:
    """The pixel of row r and column c is (10 r + c, 100, 255 - 10 r - c)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    red = 10 * rows + columns
    return np.stack([red, np.full_like(red, 100), 255 - red], axis=2).astype(np.uint8)


@pytest.fixture
def mask() -> np.ndarray:
    """Rows 2 and 3, columns 3 to 5, but for a corner: within `BOX`, and tighter than it."""
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[2:4, 3:6] = True
    mask[3, 5] = False
    return mask


def test_each_view_has_a_way_to_be_cut() -> None:
    assert set(VIEWS) == set(get_args(View))


def test_masked_is_the_garments_own_box_on_grey(image: np.ndarray, mask: np.ndarray) -> None:
    view = cut_view(image, mask, BOX, "masked")
    assert view.dtype == np.uint8
    assert view[:, :, 0].tolist() == [[23, 24, 25], [33, 34, GREY]]
    assert view[1, 2].tolist() == [GREY] * 3
    assert view[0, 0].tolist() == [23, 100, 232]


def test_dimmed_draws_what_is_outside_of_the_mask_towards_grey(
    image: np.ndarray, mask: np.ndarray
) -> None:
    view = cut_view(image, mask, BOX, "dimmed")
    # 0.4 of the value and 0.6 of 127, which is 76.2: of 12, 13 … 15 it is 81, 81.4, 81.8, 82.2.
    assert view[:, :, 0].tolist() == [
        [81, 81, 82, 82],
        [85, 23, 24, 25],
        [89, 33, 34, 90],
        [93, 93, 94, 94],
    ]
    assert view[0, 0].tolist() == [81, 116, 173]
    assert view.dtype == np.uint8


def test_box_and_margin_are_the_photos_own_pixels(image: np.ndarray, mask: np.ndarray) -> None:
    np.testing.assert_array_equal(cut_view(image, mask, BOX, "box"), image[1:5, 2:6])
    # 0.12 of 4 pixels on each side: 1.52 to 6.48 across, 0.52 to 5.48 down.
    np.testing.assert_array_equal(cut_view(image, mask, BOX, "margin"), image[0:6, 1:7])


def test_context_is_dimmed_with_the_margin(image: np.ndarray, mask: np.ndarray) -> None:
    view = cut_view(image, mask, BOX, "context")
    assert view.shape == (6, 6, 3)
    np.testing.assert_array_equal(view[1:5, 1:5], cut_view(image, mask, BOX, "dimmed"))
    # Above the box: 0.4 of 1, 2 … 6 and 76.2.
    assert view[0, :, 0].tolist() == [77, 77, 77, 78, 78, 79]
    np.testing.assert_array_equal(
        cut_view(image, None, BOX, "context"), cut_view(image, None, BOX, "margin")
    )


def test_the_margin_follows_the_longer_side() -> None:
    image = np.arange(30 * 40 * 3).reshape(30, 40, 3).astype(np.uint8)
    wide = np.array([10, 14, 30, 16], dtype=np.float32)
    # 0.12 of 20 pixels on every side.
    np.testing.assert_array_equal(cut_view(image, None, wide, "margin"), image[11:19, 7:33])


@pytest.mark.parametrize("view", ["masked", "dimmed", "box"])
@pytest.mark.parametrize("empty", [None, np.zeros((HEIGHT, WIDTH), dtype=bool)])
def test_without_a_mask_it_is_the_box_as_it_is(
    image: np.ndarray, view: View, empty: np.ndarray | None
) -> None:
    np.testing.assert_array_equal(cut_view(image, empty, BOX, view), image[1:5, 2:6])


@pytest.mark.parametrize("view", ["masked", "dimmed", "box"])
def test_a_box_at_the_edge_is_cut_there(image: np.ndarray, view: View) -> None:
    beyond = np.array([-3.5, 2.2, 1.5, 99.0], dtype=np.float32)
    np.testing.assert_array_equal(cut_view(image, None, beyond, view), image[2:6, 0:2])


@pytest.mark.parametrize("view", list(VIEWS))
@pytest.mark.parametrize(
    "box", [(20, 20, 30, 30), (-9, -9, -4, -4), (3, 3, 3, 3), (8, 6, 8, 6), (5, 4, 2, 1)]
)
def test_no_box_gives_an_empty_picture(
    image: np.ndarray, mask: np.ndarray, view: View, box: tuple[int, ...]
) -> None:
    for shown in (mask, None):
        cut = cut_view(image, shown, np.array(box, dtype=np.float32), view)
        assert cut.ndim == 3 and min(cut.shape) >= 1 and cut.shape[2] == 3


def test_a_mask_that_leaves_its_box_is_dimmed_within_the_box_alone(image: np.ndarray) -> None:
    whole = np.ones((HEIGHT, WIDTH), dtype=bool)
    np.testing.assert_array_equal(cut_view(image, whole, BOX, "dimmed"), image[1:5, 2:6])
    np.testing.assert_array_equal(cut_view(image, whole, BOX, "masked"), image)


def test_masked_is_the_tables_crop_laid_on_grey() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        image = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
        mask = rng.random((30, 20)) < 0.1
        box = rng.uniform(-5, 30, 4)
        crop = cutout(image, mask, box).astype(int)
        opaque = crop[:, :, 3:] // 255
        on_grey = crop[:, :, :3] * opaque + GREY * (1 - opaque)
        np.testing.assert_array_equal(cut_view(image, mask, box, "masked"), on_grey)


def test_a_square_keeps_the_aspect() -> None:
    square = fit_square(np.full((40, 20, 3), (10, 200, 30), dtype=np.uint8), 80)
    assert square.shape == (80, 80, 3) and square.dtype == np.uint8
    assert (square[:, :20] == GREY).all() and (square[:, 60:] == GREY).all()
    assert (square[:, 20:60] == (10, 200, 30)).all()


def test_a_square_of_the_same_size_is_untouched(image: np.ndarray) -> None:
    square = fit_square(image, 8)
    np.testing.assert_array_equal(square[1:7], image)
    assert (square[[0, 7]] == GREY).all()


@pytest.mark.parametrize(
    ("shape", "inner"),
    [((1, 1), (32, 32)), ((1, 500), (1, 32)), ((500, 1), (32, 1)), ((33, 64), (16, 32))],
)
def test_any_shape_fits_a_square(shape: tuple[int, int], inner: tuple[int, int]) -> None:
    square = fit_square(np.full((*shape, 3), 255, dtype=np.uint8), 32)
    rows, columns = np.nonzero((square != GREY).any(axis=2))
    assert square.shape == (32, 32, 3)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == inner


def test_a_square_takes_a_part_of_a_larger_picture(image: np.ndarray) -> None:
    """A view is a window on the photo, not rows of its own."""
    part = image[1:5, 2:6]
    assert not part.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(fit_square(part, 4), part)

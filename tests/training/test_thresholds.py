from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jeans_udf.errors import ConfigError
from jeans_udf.geometry import encode_rle
from jeans_udf.training.coco import Photo
from jeans_udf.training.thresholds import fit_thresholds

NAMES = ("jeans", "shorts")


def _photo(number: int, *classes: int) -> Photo:
    """A photo of 100 x 100 whose garments are boxes of 30 x 80, side by side."""
    rles = []
    for k in range(len(classes)):
        mask = np.zeros((100, 100), dtype=bool)
        mask[10:90, 35 * k : 35 * k + 30] = True
        rles.append(encode_rle(mask))
    ids = tuple(range(len(classes)))
    return Photo(Path(f"{number}.jpg"), number, 100, 100, ids, classes, tuple(rles))


def _row(image: int, category: int, score: float, place: int = 0) -> dict[str, Any]:
    return {"image_id": image, "category_id": category + 1, "score": score,
            "bbox": [35 * place, 10, 30, 80]}  # fmt: skip


def test_each_category_gets_the_least_threshold_that_is_as_good_as_the_best() -> None:
    photos = [_photo(1, 0), _photo(2, 0), _photo(3, 1), _photo(4, 1)]
    rows = [
        _row(1, 0, 0.9), _row(2, 0, 0.61), _row(2, 0, 0.3, place=2),
        _row(3, 1, 0.4), _row(4, 1, 0.21), _row(4, 1, 0.15, place=2),
    ]  # fmt: skip
    found = fit_thresholds(photos, rows, NAMES, most_tagged=1.0, trusted=1)
    assert found == {"jeans": 0.31, "shorts": 0.16}


def test_photos_without_garments_raise_the_threshold_that_costs_least() -> None:
    """Photo 9 gets jeans 0.7 and photo 8 shorts 0.5; raising shorts loses nothing, jeans one."""
    photos = [_photo(1, 0), _photo(2, 0), _photo(3, 1), _photo(8), _photo(9)]
    rows = [
        _row(1, 0, 0.9), _row(2, 0, 0.6), _row(3, 1, 0.8),
        _row(9, 0, 0.7), _row(8, 1, 0.5),
    ]  # fmt: skip
    free = fit_thresholds(photos, rows, NAMES, most_tagged=1.0)
    assert free["jeans"] <= 0.6, "both jeans are kept where the negatives do not matter"
    half = fit_thresholds(photos, rows, NAMES, most_tagged=0.5)
    assert half["shorts"] == 0.51 and half["jeans"] <= 0.6
    none = fit_thresholds(photos, rows, NAMES, most_tagged=0.0)
    assert none == {"jeans": 0.71, "shorts": 0.51}


def test_a_second_box_on_a_garment_is_wrong() -> None:
    photos = [_photo(1, 0)]
    rows = [_row(1, 0, 0.9), _row(1, 0, 0.8)]
    assert fit_thresholds(photos, rows, NAMES, 1.0)["jeans"] == 0.81


def test_few_garments_draw_a_threshold_towards_the_common_one() -> None:
    """Twenty jeans at 0.6 and shorts at 0.2 alone: 0.6 and 0.2; one shorts of twenty trusted."""
    photos = [*(_photo(k, 0) for k in range(20)), _photo(90, 1), _photo(91)]
    rows = [_row(k, 0, 0.6) for k in range(20)] + [_row(91, 0, 0.5)] * 3
    rows += [_row(90, 1, 0.2), _row(91, 1, 0.19)]
    found = fit_thresholds(photos, rows, NAMES, 1.0)
    # Common: at 0.51 all jeans and nothing wrong, 40 / 41; its own for shorts: 0.2.
    assert found == {"jeans": 0.51, "shorts": round(0.05 * 0.2 + 0.95 * 0.51, 2)}


def test_without_garments_or_detections_the_middle() -> None:
    assert fit_thresholds([_photo(1)], [], NAMES, 0.05) == {"jeans": 0.5, "shorts": 0.5}


def test_a_raised_threshold_always_rises() -> None:
    """0.29 * 100 + 1 is 29.999...: what is a hundredth above must not be lost in rounding."""
    photos = [_photo(1, 0), _photo(8)]
    for score in (0.29, 0.57, 0.58):
        rows = [_row(1, 0, score), _row(8, 0, score)]
        found = fit_thresholds(photos, rows, NAMES, most_tagged=0.0)
        assert found["jeans"] == round(score + 0.01, 2)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="wanted a share"):
        fit_thresholds([_photo(1, 0)], [], NAMES, most_tagged=-0.1)

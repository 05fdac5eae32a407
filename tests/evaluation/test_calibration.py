from __future__ import annotations

import math

import numpy as np
import pytest
from rectangles import CATEGORIES, photo, rectangle, result

from jeans_udf.evaluation.calibration import calibration_error, judged_scores, reliability
from jeans_udf.evaluation.matching import match
from jeans_udf.evaluation.truth import Crowd, Truth

BOX = (10, 10, 40, 90)


def test_bins_and_error_by_hand() -> None:
    scores = np.array([0.05, 0.92, 0.96, 1.0, 0.4])
    right = np.array([False, True, False, True, True])
    bins = reliability(scores, right)
    assert [each.count for each in bins] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 3]
    assert bins[4].low == 0.4 and bins[4].score == 0.4, "an edge belongs to the bin above"
    assert bins[9].right == pytest.approx(2 / 3) and bins[9].score == pytest.approx(0.96)
    assert math.isnan(bins[1].score) and math.isnan(bins[1].right)
    gaps = 1 * 0.05 + 1 * 0.6 + 3 * (0.96 - 2 / 3)
    assert calibration_error(bins) == pytest.approx(gaps / 5)


def test_scores_that_keep_their_word_have_no_error() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(200_000)
    error = calibration_error(reliability(scores, rng.random(200_000) < scores))
    assert error < 0.01
    assert calibration_error(reliability(scores, rng.random(200_000) < scores**2)) > 0.1


def test_no_detection_no_error() -> None:
    scores, right, categories = judged_scores([])
    assert scores.shape == right.shape == categories.shape == (0,)
    assert math.isnan(calibration_error(reliability(scores, right)))


def test_right_is_a_garment_of_the_category_and_crowds_are_left_out() -> None:
    crowd = Crowd(2, 0, rectangle(BOX))
    truth = Truth((photo(1, (0, BOX)), photo(2)), CATEGORIES, (crowd,))
    rows = [result(1, 0, BOX, 0.9), result(1, 1, BOX, 0.8), result(2, 0, BOX, 0.7)]
    scores, right, categories = judged_scores(match(truth, rows, "segm", same_category=True))
    assert scores.tolist() == [0.9, 0.8]
    assert right.tolist() == [True, False] and categories.tolist() == [0, 1]

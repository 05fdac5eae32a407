from __future__ import annotations

import math

import numpy as np
import pytest
from rectangles import CATEGORIES, photo, result

from jeans_udf.evaluation.curves import best_f1, precision_recall
from jeans_udf.evaluation.detection import coco_truth, run_coco
from jeans_udf.evaluation.matching import match
from jeans_udf.evaluation.thresholds import best_scores, best_thresholds, sweep
from jeans_udf.evaluation.truth import Truth

BOX = (10, 10, 40, 90)
NEARLY = (10, 10, 40, 68)  # 58 of BOX's 80 rows: an overlap of 0.725


def test_the_curve_by_hand() -> None:
    photos = [photo(1, (0, BOX)), photo(2, (0, BOX)), photo(3)]
    rows = [result(1, 0, BOX, 0.9), result(3, 0, BOX, 0.8), result(2, 0, NEARLY, 0.7)]
    curves = precision_recall(run_coco(coco_truth(photos, CATEGORIES), rows, "bbox"), CATEGORIES)
    assert [(curve.category, curve.iou) for curve in curves] == [("jeans", 0.5), ("jeans", 0.75)]
    half, strict = curves
    assert half.recall[-1] == 1.0 and strict.recall[-1] == pytest.approx(0.5)
    assert (half.precision[half.recall <= 0.5] == pytest.approx(1.0))
    assert (half.precision[half.recall > 0.5] == pytest.approx(2 / 3))
    assert set(half.scores) == {0.9, 0.7} and set(strict.scores) == {0.9}


def test_a_category_that_nothing_is_right_of_has_an_empty_curve() -> None:
    photos = [photo(1, (0, BOX))]
    rows = [result(1, 0, (60, 60, 70, 70), 0.9)]
    (half, _) = precision_recall(run_coco(coco_truth(photos, CATEGORIES), rows, "bbox"), CATEGORIES)
    assert len(half.recall) == len(half.precision) == 0


def test_best_f1_by_hand_and_equal_scores_stay_together() -> None:
    scores = np.array([0.9, 0.3, 0.6, 0.6])
    right = np.array([True, False, True, False])
    # Down to 0.9: 2*1/(1+2); down to 0.6: 2*2/(3+2); all: 2*2/(4+2).
    assert best_f1(scores, right, 2) == (0.6, pytest.approx(0.8))
    lucky = np.array([True, False, False, True])
    assert best_f1(scores, lucky, 3)[0] == 0.6, "one of the two cannot be had alone"
    assert all(math.isnan(value) for value in best_f1(scores[:0], right[:0], 2))
    assert all(math.isnan(value) for value in best_f1(scores, right, 0))


def test_thresholds_by_category() -> None:
    scores, right = np.array([0.9, 0.5, 0.8]), np.array([True, False, True])
    chosen = best_thresholds(scores, right, np.array([0, 0, 1]), [1, 2], CATEGORIES)
    assert chosen["jeans"] == {"threshold": 0.9, "f1": 1.0}
    assert chosen["shorts"] == {"threshold": 0.8, "f1": pytest.approx(2 / 3)}


def test_the_sweep_by_hand() -> None:
    truth = Truth((photo(1, (0, BOX)), photo(2), photo(3)), CATEGORIES)
    rows = [result(1, 0, BOX, 0.9), result(2, 0, BOX, 0.6), result(2, 0, BOX, 0.2)]
    matches = match(truth, rows, "bbox", same_category=True)
    negatives = best_scores(matches, [p.coco_id for p in truth.negatives])
    assert negatives == [0.6, 0.0]
    steps = sweep(np.array([0.9, 0.6, 0.2]), np.array([True, False, False]), 1, negatives)
    by_threshold = {step.threshold: step for step in steps}
    assert by_threshold[0.2].precision == pytest.approx(1 / 3)
    assert by_threshold[0.6].precision == 0.5, "a score at the threshold is kept"
    assert by_threshold[0.65].f1 == 1.0 and by_threshold[0.65].tagged_negatives == 0.0
    assert by_threshold[0.6].tagged_negatives == 0.5
    assert by_threshold[0.95].recall == 0.0 and math.isnan(by_threshold[0.95].precision)

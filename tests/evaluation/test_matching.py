from __future__ import annotations

import numpy as np
import pytest
from rectangles import CATEGORIES, photo, rectangle, result

from jeans_udf.evaluation.confusion import category_figures, confusion, found_figures, rates
from jeans_udf.evaluation.detection import coco_figures, coco_truth, run_coco
from jeans_udf.evaluation.matching import above, match
from jeans_udf.evaluation.truth import Crowd, Truth

TALL, LOW = (10, 10, 40, 90), (60, 60, 90, 80)
HALF = (10, 10, 40, 50)  # overlaps TALL by exactly 0.5
LESS = (10, 10, 40, 49)
TRUTH = Truth((photo(1, (0, TALL), (1, LOW)), photo(2, (1, LOW)), photo(3)), CATEGORIES)
RESULTS = [
    result(1, 1, TALL, 0.9),  # jeans taken for shorts
    result(1, 0, HALF, 0.8),  # jeans, if the category counts; else the garment is taken
    result(1, 1, (0, 0, 9, 9), 0.7),  # background
    result(3, 0, LOW, 0.6),  # on a photo without garments
]  # and LOW is missed twice


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_whatever_the_category_the_best_score_takes_the_garment(kind: str) -> None:
    first, second, third = match(TRUTH, RESULTS, kind, same_category=False)
    assert first.garments.tolist() == [0, -1, -1] and first.missed == [1]
    assert first.ious.tolist() == pytest.approx([1.0, 0.5, 0.0])
    assert not first.right(0), "shorts were said, jeans they are"
    assert second.missed == [0] and len(second.rows) == 0
    assert third.garments.tolist() == [-1]


def test_of_equal_categories_half_an_overlap_is_enough_and_less_is_not() -> None:
    first = match(TRUTH, RESULTS, "bbox", same_category=True)[0]
    assert first.garments.tolist() == [-1, 0, -1]
    rows = [result(1, 0, LESS, 0.8)]
    assert match(TRUTH, rows, "bbox", same_category=True)[0].garments.tolist() == [-1]


def test_confusion_by_hand() -> None:
    table = confusion(match(TRUTH, RESULTS, "segm", same_category=False), 2)
    #                 jeans shorts missed
    assert table.tolist() == [[0, 1, 0], [0, 0, 2], [2, 1, 0]]


def test_figures_by_hand() -> None:
    figures = category_figures(match(TRUTH, RESULTS, "bbox", same_category=True), CATEGORIES)
    assert figures["jeans"] == rates(1, 2, 1)
    assert figures["jeans"]["precision"] == 0.5 and figures["jeans"]["recall"] == 1.0
    assert figures["shorts"] == {
        "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 2, "detections": 2,
    }  # fmt: skip
    assert figures["all"]["f1"] == pytest.approx(2 * 1 / (4 + 3))
    assert found_figures(match(TRUTH, RESULTS, "bbox", same_category=False)) == rates(1, 4, 3)
    assert np.isnan(rates(0, 0, 0)["precision"]) and np.isnan(rates(0, 0, 0)["f1"])


def test_what_lies_on_a_crowd_is_neither_right_nor_wrong() -> None:
    crowd = Crowd(3, 0, rectangle((50, 50, 100, 100)))
    truth = Truth(TRUTH.photos, CATEGORIES, (crowd,))
    third = match(truth, RESULTS, "segm", same_category=True)[2]
    assert third.ignored.tolist() == [True], "it lies wholly within, so by its own area"
    assert confusion([third], 2).sum() == 0
    assert category_figures([third], CATEGORIES)["jeans"]["detections"] == 0
    other = [result(3, 1, LOW, 0.6)]
    assert match(truth, other, "segm", same_category=True)[2].ignored.tolist() == [False]
    assert match(truth, other, "segm", same_category=False)[2].ignored.tolist() == [True]


def test_thresholds_are_their_categorys_own() -> None:
    kept = above(RESULTS, {1: 0.8, 2: 0.75})
    assert [row["score"] for row in kept] == [0.9, 0.8]


def test_recall_is_cocos_recall_over_random_boxes() -> None:
    rng = np.random.default_rng(5)
    photos, rows = [], []
    for number in range(30):
        boxes = [tuple(int(v) for v in (x, y, x + 30, y + 40)) for x, y in
                 rng.integers(0, 60, (rng.integers(0, 4), 2))]  # fmt: skip
        photos.append(photo(number, *((int(rng.integers(2)), box) for box in boxes)))
        for x1, y1, _, _ in boxes:
            dx, dy = (int(v) for v in rng.integers(0, 15, 2))
            rows.append(result(number, int(rng.integers(2)), (x1 + dx, y1 + dy, x1 + dx + 28, y1
                               + dy + 37), float(rng.random()), masked=False))  # fmt: skip
    truth = Truth(tuple(photos), CATEGORIES)
    figures = category_figures(match(truth, rows, "bbox", same_category=True), CATEGORIES)
    recall = run_coco(coco_truth(photos, CATEGORIES), rows, "bbox")["recall"]
    for k, name in enumerate(CATEGORIES):
        assert figures[name]["recall"] == pytest.approx(recall[0, k, 0, 2])
    assert 0 < figures["jeans"]["recall"] < 1
    assert coco_figures(run_coco(coco_truth(photos, CATEGORIES), rows, "bbox"))["AP50"] > 0

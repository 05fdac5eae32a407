from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jeans_udf.evaluation.detection import average_precision, coco_truth, tagged_negatives
from jeans_udf.geometry import encode_rle
from jeans_udf.training.coco import Photo


def _photo(number: int, *boxes: tuple[int, int, int, int]) -> Photo:
    rles = []
    for left, top, right, bottom in boxes:
        mask = np.zeros((100, 100), dtype=bool)
        mask[top:bottom, left:right] = True
        rles.append(encode_rle(mask))
    ids = tuple(range(number * 10, number * 10 + len(boxes)))
    return Photo(Path("x"), number, 100, 100, ids, (0,) * len(boxes), tuple(rles))


def _result(number: int, box: tuple[int, int, int, int], score: float, category: int = 1) -> dict:
    left, top, right, bottom = box
    mask = np.zeros((100, 100), dtype=bool)
    mask[top:bottom, left:right] = True
    return {
        "image_id": number,
        "category_id": category,
        "score": score,
        "bbox": [left, top, right - left, bottom - top],
        "segmentation": encode_rle(mask),
    }


PHOTOS = [_photo(0, (10, 10, 50, 90)), _photo(1, (20, 20, 60, 80)), _photo(2)]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_perfect_results_have_ap_one(kind: str) -> None:
    rows = [_result(0, (10, 10, 50, 90), 0.9), _result(1, (20, 20, 60, 80), 0.8)]
    figures = average_precision(coco_truth(PHOTOS, ["jeans", "shorts"]), rows, kind)
    assert figures["AP"] == pytest.approx(1.0) and figures["AP50/jeans"] == pytest.approx(1.0)
    assert np.isnan(figures["AP/shorts"]), "no truth: undefined, not zero"


def test_one_of_two_found_is_about_half() -> None:
    rows = [_result(0, (10, 10, 50, 90), 0.9)]
    figures = average_precision(coco_truth(PHOTOS, ["jeans"]), rows, "bbox")
    # Recall reaches 0.5: 51 of COCO's 101 recall points have precision 1.
    assert figures["AP50"] == pytest.approx(51 / 101)


def test_no_results_are_zero_and_wrong_category_too() -> None:
    truth = coco_truth(PHOTOS, ["jeans", "shorts"])
    assert average_precision(truth, [], "bbox")["AP"] == 0.0
    assert average_precision(truth, [_result(0, (10, 10, 50, 90), 1, 2)], "bbox")["AP/jeans"] == 0.0


def test_tagged_negatives_counts_photos_without_garments() -> None:
    rows = [_result(2, (0, 0, 9, 9), 0.4), _result(0, (0, 0, 9, 9), 0.9)]
    assert tagged_negatives(PHOTOS, rows, 0.5) == 0.0
    assert tagged_negatives(PHOTOS, rows, 0.3) == 1.0

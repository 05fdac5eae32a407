"""Figures against pycocotools' own summary, over drawn boxes and masks."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from jeans_udf.evaluation.detection import FIGURES, coco_figures, coco_truth, run_coco
from jeans_udf.evaluation.truth import Crowd
from jeans_udf.geometry import encode_rle
from jeans_udf.training.coco import Photo

CATEGORIES = ["jeans", "shorts", "kilt"]
SIDE = 240
Rows = list[dict[str, Any]]


def _shape(rng: np.random.Generator, near: np.ndarray | None = None) -> np.ndarray:
    """A box (XYXY) of any of COCO's three sizes, or a shifted copy of ``near``; whole pixels."""
    if near is not None:
        reach = max(2, int((near[2:] - near[:2]).min()) // 6)
        moved = near + rng.integers(-reach, reach, 4)
        low, high = np.minimum(moved[:2], moved[2:] - 2), np.maximum(moved[2:], moved[:2] + 2)
        return np.clip(np.concatenate([low, high]), [0, 0, 2, 2], SIDE)
    size = rng.integers(4, rng.choice([30, 90, 160]), 2)
    corner = rng.integers(0, SIDE - size)
    return np.concatenate([corner, corner + size])


def _mask(box: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    mask = np.zeros((SIDE, SIDE), dtype=bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    # A notch, so that masks and boxes overlap differently.
    mask[box[1] : box[1] + rng.integers(0, 8), box[0] : (box[0] + box[2]) // 2] = False
    return encode_rle(mask)


def _drawn(seed: int) -> tuple[list[Photo], list[Crowd], Rows]:
    """Photos, crowds and results: found, missed, twice, misplaced, of equal scores; no kilt."""
    rng = np.random.default_rng(seed)
    photos, crowds, rows = [], [], []
    for number in range(14):
        boxes = [_shape(rng) for _ in range(rng.integers(0, 5))]
        classes = [int(rng.integers(0, 2)) for _ in boxes]
        if number == 3:
            # More than ten of one category, for the limits on detections.
            boxes, classes = [_shape(rng) for _ in range(14)], [0] * 14
        photos.append(Photo(None, number, SIDE, SIDE, tuple(range(len(boxes))), tuple(classes),
                            tuple(_mask(box, rng) for box in boxes)))  # fmt: skip
        if rng.random() < 0.3:
            boxes.append(_shape(rng))
            crowds.append(Crowd(number, 0, _mask(boxes[-1], rng)))
        around = [*boxes, *boxes[:2], None]
        known = [*classes, 0, *classes[:2]] if crowds and crowds[-1].coco_id == number else classes
        for index, near in enumerate(around if rng.random() < 0.9 or number == 3 else []):
            box = _shape(rng, near)
            x1, y1, x2, y2 = (int(edge) for edge in box)
            guess = known[index] if index < len(known) and rng.random() < 0.7 else rng.integers(3)
            rows.append({
                "image_id": number, "category_id": int(guess) + 1,
                # One digit: many results have the same score.
                "score": round(float(rng.random()), 1),
                "bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": _mask(box, rng),
            })  # fmt: skip
    return photos, crowds, rows


def _summary(photos: list[Photo], crowds: list[Crowd], rows: Rows, kind: str, category: int | None,
             by_category: bool = True) -> np.ndarray:  # fmt: skip
    """COCOeval's twelve by its own loader and summary; the truth is written out anew."""
    marks = [(p.coco_id, k, rle, 0) for p in photos for k, rle in zip(p.classes, p.rles,
                                                                      strict=True)]  # fmt: skip
    marks += [(c.coco_id, c.category, c.rle, 1) for c in crowds]
    from pycocotools import mask

    gold = COCO()
    gold.dataset = {
        "images": [{"id": p.coco_id, "height": SIDE, "width": SIDE} for p in photos],
        "categories": [{"id": k + 1, "name": name} for k, name in enumerate(CATEGORIES)],
        "annotations": [
            {"id": n, "image_id": image, "category_id": k + 1, "segmentation": dict(rle),
             "area": float(mask.area(rle)), "bbox": mask.toBbox(rle).tolist(), "iscrowd": crowd}
            for n, (image, k, rle, crowd) in enumerate(marks, start=1)
        ],
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        gold.createIndex()
        # A result with a box has the box's area, so boxes are left out for masks.
        dropped = {"bbox"} if kind == "segm" else {"segmentation"}
        found = gold.loadRes([{k: v for k, v in row.items() if k not in dropped} for row in rows])
        evaluation = COCOeval(gold, found, kind)
        evaluation.params.useCats = int(by_category)
        if category is not None:
            evaluation.params.catIds = [category + 1]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return np.where(evaluation.stats == -1, np.nan, evaluation.stats)


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(6))
def test_all_twelve_figures_are_pycocotools_own(seed: int, kind: str) -> None:
    photos, crowds, rows = _drawn(seed)
    arrays = run_coco(coco_truth(photos, CATEGORIES, crowds), rows, kind)
    figures = coco_figures(arrays, CATEGORIES)
    for category, suffix in ((None, ""), (0, "/jeans"), (1, "/shorts"), (2, "/kilt")):
        mine = [figures[name + suffix] for name in FIGURES]
        wanted = _summary(photos, crowds, rows, kind, category)
        np.testing.assert_allclose(mine, wanted, atol=1e-6, err_msg=f"{kind} {suffix}")
    assert np.isnan(figures["AP/kilt"]), "detected, but there is none"
    assert 0.1 < figures["AP"] < 0.9 and 0 < figures["AR_medium"] < 1
    assert figures["AR@1"] < figures["AR@10"] <= figures["AR@100"]


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_whatever_the_category(kind: str) -> None:
    photos, crowds, rows = _drawn(11)
    mine = coco_figures(run_coco(coco_truth(photos, CATEGORIES, crowds), rows, kind,
                                 by_category=False))  # fmt: skip
    wanted = _summary(photos, crowds, rows, kind, None, by_category=False)
    np.testing.assert_allclose(list(mine.values()), wanted, atol=1e-6)


def test_crowds_change_the_figures_or_this_file_tests_none() -> None:
    photos, crowds, rows = _drawn(2)
    assert crowds
    rows = [row for row in rows if row["category_id"] == 1]
    with_crowds = coco_figures(run_coco(coco_truth(photos, CATEGORIES, crowds), rows, "bbox"))
    without = coco_figures(run_coco(coco_truth(photos, CATEGORIES), rows, "bbox"))
    assert with_crowds["AP50"] > without["AP50"], "what lies on a crowd is no error"


def test_no_result_at_all_is_zero_where_there_is_truth() -> None:
    photos, crowds, _ = _drawn(0)
    figures = coco_figures(run_coco(coco_truth(photos, CATEGORIES, crowds), [], "segm"), CATEGORIES)
    assert figures["AP"] == figures["AR@100"] == figures["AP50/shorts"] == 0.0
    assert np.isnan(figures["AP/kilt"])


def test_results_and_truth_are_left_as_they_were() -> None:
    photos, crowds, rows = _drawn(1)
    truth = coco_truth(photos, CATEGORIES, crowds)
    before = (repr(truth), repr(rows))
    run_coco(truth, rows, "segm")
    assert (repr(truth), repr(rows)) == before

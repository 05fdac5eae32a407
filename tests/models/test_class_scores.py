from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling.box_regression import Box2BoxTransform
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Boxes, Instances

from jeans_udf.models.class_scores import class_scores_of, keep_class_scores
from tests.models.architectures import WITH_BOXES, pictures, small_detector

CATEGORIES = 3
SIZE = (100, 100)


def _predictor() -> FastRCNNOutputLayers:
    torch.manual_seed(0)
    return FastRCNNOutputLayers(
        ShapeSpec(channels=4), box2box_transform=Box2BoxTransform((10.0, 10.0, 5.0, 5.0)),
        num_classes=CATEGORIES, test_score_thresh=0.05, test_nms_thresh=0.5,
        test_topk_per_image=20,
    )  # fmt: skip


def _proposals(count: int) -> Instances:
    """Boxes of 10 pixels, side by side."""
    left = 20.0 * torch.arange(count)
    boxes = torch.stack([left, torch.zeros(count), left + 10, torch.full((count,), 10.0)], 1)
    return Instances(SIZE, proposal_boxes=Boxes(boxes))


def _predictions(logits: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(logits), torch.zeros(len(logits), 4 * CATEGORIES)


LOGITS = [[2.0, 1.0, 0.0, 0.5], [0.0, 3.0, 1.0, 0.0], [-9.0, -9.0, -9.0, 9.0]]


def test_the_rows_are_the_softmax_of_the_proposals_that_were_kept() -> None:
    predictor = _predictor()
    keep_class_scores(predictor)
    (found,), (rows,) = predictor.inference(_predictions(LOGITS), [_proposals(3)])
    softmax = torch.tensor(LOGITS).softmax(1)[:, :CATEGORIES]
    assert found.class_scores.shape == (len(found), CATEGORIES) and len(found) >= 4
    torch.testing.assert_close(found.class_scores, softmax[rows])
    own = found.class_scores[torch.arange(len(found)), found.pred_classes]
    torch.testing.assert_close(own, found.scores)
    # Which proposal a box came from can be told by where it is.
    places = (found.pred_boxes.tensor[:, 0] / 20).round().long()
    torch.testing.assert_close(found.class_scores, softmax[places])


def test_the_other_answers_stay_what_they_are() -> None:
    plain, keeping = _predictor(), _predictor()
    keep_class_scores(keeping)
    (before,), (rows,) = plain.inference(_predictions(LOGITS), [_proposals(3)])
    (after,), (same,) = keeping.inference(_predictions(LOGITS), [_proposals(3)])
    assert torch.equal(rows, same)
    for name in ("scores", "pred_classes"):
        assert torch.equal(before.get(name), after.get(name))
    assert torch.equal(before.pred_boxes.tensor, after.pred_boxes.tensor)
    assert not before.has("class_scores")


def test_a_proposal_that_is_not_finite_does_not_shift_the_rows() -> None:
    predictor = _predictor()
    keep_class_scores(predictor)
    for broken in (0, 1):
        logits, deltas = _predictions([[float("nan")] * 4, *LOGITS])
        if broken:
            logits[0], deltas[0] = 0.0, float("inf")
        (found,), _ = predictor.inference((logits, deltas), [_proposals(4)])
        own = found.class_scores[torch.arange(len(found)), found.pred_classes]
        torch.testing.assert_close(own, found.scores)
        assert len(found) >= 4


def test_images_are_kept_apart_and_may_have_no_proposal() -> None:
    predictor = _predictor()
    keep_class_scores(predictor)
    found, _ = predictor.inference(_predictions(LOGITS), [_proposals(0), _proposals(3)])
    assert found[0].class_scores.shape == (0, CATEGORIES)
    assert len(found[1]) >= 4
    nothing = torch.zeros(0, CATEGORIES + 1), torch.zeros(0, 4 * CATEGORIES)
    assert predictor.inference(nothing, [])[0] == []


def test_wrapping_twice_does_nothing_more() -> None:
    predictor, calls = _predictor(), []
    asked = predictor.predict_probs

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return asked(*arguments)

    predictor.predict_probs = counted
    keep_class_scores(predictor)
    predictor.inference(_predictions(LOGITS), [_proposals(3)])
    once = len(calls)
    keep_class_scores(predictor)
    predictor.inference(_predictions(LOGITS), [_proposals(3)])
    assert len(calls) == 2 * once


def test_a_copy_of_the_model_asks_its_own_predictor() -> None:
    predictor = _predictor()
    keep_class_scores(predictor)
    other = copy.deepcopy(predictor)
    other.test_score_thresh = 0.9
    (found,), _ = predictor.inference(_predictions(LOGITS), [_proposals(3)])
    (few,), _ = other.inference(_predictions(LOGITS), [_proposals(3)])
    assert len(few) < len(found)


def test_what_is_no_box_head_stays_as_it_is() -> None:
    for other in (None, torch.nn.ModuleList([_predictor()])):
        keep_class_scores(other)
        assert "inference" not in vars(other or object)


def test_without_a_softmax_it_is_the_best_score_of_each_category_in_the_same_place() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8], [50, 50, 60, 60], [0, 0, 10, 5]]
    instances = Instances(
        SIZE, pred_boxes=Boxes(torch.tensor(boxes, dtype=torch.float32)),
        scores=torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]),
        pred_classes=torch.tensor([0, 1, 1, 2, 2]),
    )  # fmt: skip
    # The last one overlaps the first by half: another garment.
    found = class_scores_of(instances, torch.tensor([0, 3]), CATEGORIES)
    torch.testing.assert_close(found, torch.tensor([[0.9, 0.8, 0.0], [0.0, 0.0, 0.6]]))
    nothing = class_scores_of(instances, torch.tensor([], dtype=torch.long), CATEGORIES)
    assert nothing.shape == (0, CATEGORIES)
    assert class_scores_of(instances[[False] * 5], nothing[:, 0].long(), 3).shape == (0, 3)


@pytest.mark.parametrize("name", WITH_BOXES)
def test_every_architecture_tells_the_score_of_each_category(name: str) -> None:
    detector = small_detector(name)
    (found,) = detector.detect([detector.prepare(pictures(1)[0])])
    assert found.class_scores.shape == (len(found), 5) and len(found) > 0
    assert found.class_scores.dtype == np.float32
    own = found.class_scores[np.arange(len(found)), found.classes]
    np.testing.assert_allclose(own, found.scores, atol=1e-6)
    assert (found.class_scores >= 0).all() and (found.class_scores <= 1).all()
    if name != "retinanet":
        assert (found.class_scores.sum(axis=1) <= 1 + 1e-5).all()
        np.testing.assert_allclose(found.class_scores.max(axis=1), found.scores, atol=1e-6)

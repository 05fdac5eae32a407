"""Each architecture: right by Detectron2's own word, and the same whatever the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from architectures import (
    ALL,
    BOX_TOLERANCE,
    SCORE_TOLERANCE,
    WITH_BOXES,
    assert_same,
    pictures,
    small_detector,
    some_proposals,
)
from detectron2.layers import batched_nms
from detectron2.structures import Boxes, Instances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jeans_udf.errors import ConfigError
from jeans_udf.models.detector import DUPLICATE_IOU, Detector


@pytest.fixture(scope="module")
def detectors() -> dict[str, Detector]:
    return {name: small_detector(name) for name in ALL}


def test_the_six_are_there() -> None:
    assert set(ALL) == {"mask_rcnn", "faster_rcnn", "fast_rcnn", "rpn", "retinanet", "rfcn"}


@pytest.mark.parametrize("name", WITH_BOXES)
def test_batches_equal_detectron2_on_single_images(
    detectors: dict[str, Detector], name: str
) -> None:
    """Detectron2's own forward pass and post-processing, one picture at a time.

    Ours drops duplicates over categories on top, so the same is done to theirs here.
    """
    detector = detectors[name]
    images = pictures(3)
    canvases = [detector.prepare(image) for image in images]
    assert all(canvas.scaled != canvas.original for canvas in canvases), "they are scaled"
    for image, canvas, ours in zip(images, canvases, detector.detect(canvases), strict=True):
        height, width = image.shape[:2]
        scaled = {"image": canvas.picture, "height": height, "width": width}
        with torch.inference_mode():
            if detector.proposer is not None:
                proposals = detector.proposer([{"image": canvas.picture}])[0]["proposals"]
                scaled["proposals"] = proposals
            theirs = detector.model([scaled])[0]["instances"]
        boxes = theirs.pred_boxes.tensor
        keep = batched_nms(boxes, theirs.scores, torch.zeros(len(boxes)), DUPLICATE_IOU)
        theirs = theirs[keep[: detector.max_garments]]
        assert len(ours) == len(theirs) > 0
        np.testing.assert_allclose(ours.boxes, theirs.pred_boxes.tensor, atol=BOX_TOLERANCE)
        np.testing.assert_allclose(ours.scores, theirs.scores, atol=SCORE_TOLERANCE)
        np.testing.assert_array_equal(ours.classes, theirs.pred_classes)
        masks = ours.full_masks(height, width)
        assert (masks is not None) == theirs.has("pred_masks")
        if masks is not None:
            # A probability of 0.5 to the last digit may fall on either side.
            assert (masks != theirs.pred_masks.numpy()).mean() < 1e-3


@pytest.mark.parametrize("name", WITH_BOXES)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_neighbours_order_and_batch_size_change_nothing(
    detectors: dict[str, Detector], name: str, data: st.DataObject
) -> None:
    detector = detectors[name]
    seed = data.draw(st.integers(0, 10_000), label="seed")
    images = pictures(data.draw(st.integers(2, 5), label="batch"), seed)
    order = data.draw(st.permutations(range(len(images))), label="order")
    canvases = [detector.prepare(images[k]) for k in order]
    alone = [detector.detect([canvas])[0] for canvas in canvases]
    for one, together in zip(alone, detector.detect(canvases), strict=True):
        assert_same(one, together)


def test_an_rpn_proposes_the_same_whatever_the_batch(detectors: dict[str, Detector]) -> None:
    detector = detectors["rpn"]
    canvases = [detector.prepare(image) for image in pictures(3)]
    for canvas, together in zip(canvases, detector.propose(canvases), strict=True):
        alone = detector.propose([canvas])[0]
        assert len(alone) == len(together) > 0
        np.testing.assert_allclose(alone.boxes, together.boxes, atol=BOX_TOLERANCE)
        assert (np.diff(alone.scores) <= 1e-6).all() and alone.scores.max() <= 1
        height, width = canvas.original
        assert (alone.boxes <= [width, height, width, height]).all() and alone.boxes.min() >= 0
    with pytest.raises(ConfigError, match="train a Fast R-CNN"):
        detector.detect(canvases)


def test_a_fast_rcnn_judges_the_proposals_that_it_is_given(
    detectors: dict[str, Detector],
) -> None:
    detector = detectors["fast_rcnn"]
    canvases = [detector.prepare(image) for image in pictures(2)]
    few = detector.detect(canvases, [some_proposals(1), some_proposals(3)])
    # One box gives one garment; its own RPN proposes many.
    assert len(few[0]) == 1 < len(few[1])
    own = detector.propose(canvases)
    for given_, asked in zip(
        detector.detect(canvases, own), detector.detect(canvases), strict=True
    ):
        assert_same(given_, asked)
    without = Detector(detector.model, longest_side=96, score_threshold=0.0, max_garments=5,
                       device=torch.device("cpu"))  # fmt: skip
    with pytest.raises(ConfigError, match="needs proposals"):
        without.detect(canvases)


@pytest.mark.parametrize("name", WITH_BOXES)
def test_masks_only_where_there_is_a_mask_head(detectors: dict[str, Detector], name: str) -> None:
    detector = detectors[name]
    found = detector.detect([detector.prepare(pictures(1)[0])])[0]
    assert (found.masks is not None) == (name == "mask_rcnn")
    assert (found.full_masks(150, 140) is None) == (name != "mask_rcnn")


@pytest.mark.parametrize("name", ALL)
def test_each_runs_on_r50_fpn(name: str) -> None:
    detector = small_detector(name, "r50_fpn")
    canvas = detector.prepare(pictures(1)[0])
    assert len(detector.propose([canvas])[0] if name == "rpn" else detector.detect([canvas])) > 0


def test_a_threshold_by_category_goes_before_the_common_one(
    detectors: dict[str, Detector],
) -> None:
    base = detectors["faster_rcnn"]
    canvas = base.prepare(pictures(1)[0])
    everything = base.detect([canvas])[0]
    best = int(everything.classes[0])
    strict = Detector(base.model, longest_side=96, score_threshold=0.0, max_garments=5,
                      category_thresholds={best: 1.1}, device=torch.device("cpu"))  # fmt: skip
    assert strict.threshold(best) == 1.1 and strict.threshold(best + 1) == 0.0
    found = strict.detect([canvas])[0]
    assert len(found) > 0 and best not in found.classes


def test_what_a_better_box_covers_does_not_come_back_by_its_own_threshold() -> None:
    """Jeans 0.6 over trousers 0.5 on one garment; jeans want 0.7, trousers 0.4: nothing is left."""
    detector = small_detector("faster_rcnn")
    detector.category_thresholds = {0: 0.7, 2: 0.4}
    canvas = detector.prepare(pictures(1)[0])
    found = Instances(canvas.scaled)
    found.pred_boxes = Boxes(torch.tensor([[10.0, 10, 50, 80], [11.0, 10, 50, 80]]))
    found.scores, found.pred_classes = torch.tensor([0.6, 0.5]), torch.tensor([0, 2])
    assert len(detector._detections(found, canvas)) == 0
    assert len(detector._detections(found[1:], canvas)) == 1

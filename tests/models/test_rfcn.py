"""R-FCN against the paper's formula written as slow loops, and its head within a whole detector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.layers import ShapeSpec
from detectron2.modeling import ROI_HEADS_REGISTRY, build_model
from detectron2.structures import BitMasks, Boxes, Instances
from detectron2.utils.events import EventStorage
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.models.backbone import add_timm_config
from jeans_udf.models.rfcn import (
    PositionSensitiveROIHeads,
    Vote,
    VotePredictor,
    add_rfcn_config,
)


def _cfg(*changes: Any) -> CfgNode:
    cfg = get_cfg()
    add_timm_config(cfg)
    add_rfcn_config(cfg)
    cfg.merge_from_list([
        "MODEL.DEVICE", "cpu",
        "MODEL.PIXEL_MEAN", [127.0, 127.0, 127.0],
        "MODEL.PIXEL_STD", [64.0, 64.0, 64.0],
        "MODEL.MASK_ON", False,
        "MODEL.BACKBONE.NAME", "build_pyramid_backbone",
        "MODEL.TIMM.NAME", "mobilenetv3_small_050",
        "MODEL.TIMM.FREEZE_AT", 0,
        "MODEL.FPN.IN_FEATURES", ["s3", "s4", "s5"],
        "MODEL.FPN.OUT_CHANNELS", 32,
        "MODEL.ANCHOR_GENERATOR.SIZES", [[32], [64], [128]],
        "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[1.0, 2.0]],
        "MODEL.RPN.IN_FEATURES", ["p3", "p4", "p5"],
        "MODEL.RPN.POST_NMS_TOPK_TRAIN", 50,
        "MODEL.RPN.POST_NMS_TOPK_TEST", 20,
        "MODEL.ROI_HEADS.NAME", "PositionSensitiveROIHeads",
        "MODEL.ROI_HEADS.IN_FEATURES", ["p3", "p4"],
        "MODEL.ROI_HEADS.NUM_CLASSES", 2,
        "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", 16,
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0.0,
        "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", True,
        "MODEL.RFCN.BINS", 3,
        "MODEL.RFCN.CONV_DIM", 32,
        *changes,
    ])  # fmt: skip
    return cfg


def _model(*changes: Any) -> Any:
    torch.manual_seed(0)
    return build_model(_cfg(*changes))


def _head(*changes: Any) -> Any:
    torch.manual_seed(0)
    shapes = {"p3": ShapeSpec(channels=8, stride=8), "p4": ShapeSpec(channels=8, stride=16)}
    return PositionSensitiveROIHeads(_cfg(*changes), shapes)


def _example(boxes: list[list[float]], classes: list[int], size: int = 96) -> dict[str, Any]:
    """A grey picture with a filled rectangle for each box: light for class 0, dark for class 1."""
    image = torch.full((3, size, size), 127, dtype=torch.uint8)
    masks = torch.zeros(len(boxes), size, size, dtype=torch.bool)
    for mask, (x0, y0, x1, y1), kind in zip(masks, boxes, classes, strict=True):
        mask[int(y0) : int(y1), int(x0) : int(x1)] = True
        image[:, mask] = 20 if kind else 240
    truth = Instances((size, size))
    truth.gt_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).view(-1, 4))
    truth.gt_classes = torch.tensor(classes, dtype=torch.int64)
    truth.gt_masks = BitMasks(masks)
    return {"image": image, "instances": truth}


EXAMPLE = _example([[10, 8, 50, 70], [56, 30, 90, 88]], [0, 1])


def _proposals(boxes: Any, size: int = 96) -> Instances:
    proposals = Instances((size, size))
    proposals.proposal_boxes = Boxes(torch.as_tensor(boxes, dtype=torch.float32).view(-1, 4))
    proposals.objectness_logits = torch.zeros(len(proposals.proposal_boxes))
    return proposals


def _bilinear(grid: np.ndarray, y: float, x: float) -> float:
    """The value between pixel centres; the edge's within one pixel of it, zero further out."""
    height, width = grid.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = int(y), int(x)
    down, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    upper = grid[top, left] * (1 - u) + grid[top, right] * u
    return float(upper * (1 - v) + (grid[down, left] * (1 - u) + grid[down, right] * u) * v)


def _vote_by_hand(maps: np.ndarray, box: list[float], stride: int, k: int, n: int) -> np.ndarray:
    """Maps (D k k, H, W) and one box to votes (D,): equation 1 of the paper, then the mean.

    Each of the k x k bins averages n x n points spread evenly in it, on its own map.
    """
    x0, y0, x1, y1 = (corner / stride - 0.5 for corner in box)
    high, wide = (y1 - y0) / k, (x1 - x0) / k
    votes = []
    for output in range(len(maps) // k**2):
        bins = [
            np.mean([
                _bilinear(
                    maps[(output * k + row) * k + column],
                    y0 + high * (row + (i + 0.5) / n),
                    x0 + wide * (column + (j + 0.5) / n),
                )
                for i in range(n)
                for j in range(n)
            ])
            for row in range(k)
            for column in range(k)
        ]  # fmt: skip
        votes.append(np.mean(bins))
    return np.array(votes)


def test_the_name_is_registered() -> None:
    assert ROI_HEADS_REGISTRY.get("PositionSensitiveROIHeads") is PositionSensitiveROIHeads


@pytest.mark.parametrize(("k", "points"), [(3, 2), (7, 1), (1, 3)])
def test_votes_are_the_papers_formula(k: int, points: int) -> None:
    rng = np.random.default_rng(k)
    images = [[[8.0, 16, 90, 75], [0, 0, 128, 128]], [[3, 5, 21, 9], [100.5, 90, 128, 127.25]]]
    for outputs in (3, 4):
        maps = rng.normal(size=(2, outputs * k * k, 16, 16)).astype(np.float32)
        votes = Vote(k, [8], points)(
            [torch.from_numpy(maps)], [Boxes(torch.tensor(boxes)) for boxes in images]
        )
        wanted = [
            _vote_by_hand(maps[i], box, 8, k, points)
            for i, boxes in enumerate(images)
            for box in boxes
        ]
        np.testing.assert_allclose(votes.numpy(), np.array(wanted), atol=1e-5)


def test_the_top_left_bin_votes_for_its_class_with_one_of_k_squared() -> None:
    k, lit = 3, 2
    maps = torch.zeros(1, 4 * k * k, 20, 20)
    maps[0, lit * k * k] = 1  # class 2, row 0, column 0, all over the image
    votes = Vote(k, [8], 2)([maps], [Boxes(torch.tensor([[40.0, 24, 120, 144]]))])
    wanted = torch.zeros(4)
    wanted[lit] = 1 / k**2
    torch.testing.assert_close(votes[0], wanted)
    # Now class 1's last row and first column, alight in the lower left of the box alone.
    maps.zero_()
    maps[0, 1 * k * k + 2 * k + 0, 12:18, 4:9] = 1
    votes = Vote(k, [8], 2)([maps], [Boxes(torch.tensor([[40.0, 24, 120, 144]]))])
    torch.testing.assert_close(votes[0], torch.tensor([0, 1 / k**2, 0, 0]))


def test_a_box_takes_the_level_of_its_size() -> None:
    maps = [torch.full((1, 4, 400 // 2**i, 400 // 2**i), float(i)) for i in range(3)]
    sides = [20.0, 111, 113, 223, 225, 440, 460, 1000]
    boxes = torch.tensor([[50, 60, 50 + side, 60 + side] for side in sides])
    votes = Vote(2, [8, 16, 32], 2)(maps, [Boxes(boxes)])
    wanted = [min(max(math.floor(4 + math.log2(side / 224)), 3), 5) - 3 for side in sides]
    assert wanted == [0, 0, 0, 0, 1, 1, 2, 2]
    assert votes[:, 0].round().tolist() == wanted


def test_boxes_of_mixed_levels_keep_their_order() -> None:
    rng = np.random.default_rng(4)
    maps = [rng.normal(size=(2, 4, 256 // 2**i, 256 // 2**i)).astype(np.float32) for i in range(3)]
    big, small, middle = [9.0, 7, 990, 960], [100.0, 80, 160, 190], [300.0, 40, 530, 310]
    images = [[big, small, middle], [small, big]]
    votes = Vote(2, [8, 16, 32], 2)(
        [torch.from_numpy(level) for level in maps], [Boxes(torch.tensor(b)) for b in images]
    )
    levels = {tuple(small): 0, tuple(middle): 1, tuple(big): 2}
    wanted = [
        _vote_by_hand(maps[level][i], box, 8 * 2**level, 2, 2)
        for i, boxes in enumerate(images)
        for box in boxes
        for level in [levels[tuple(box)]]
    ]
    np.testing.assert_allclose(votes.numpy(), np.array(wanted), atol=1e-5)


@pytest.mark.parametrize("strides", [[8, 32], [16, 8], [12, 24]])
def test_levels_that_are_no_pyramid_are_told(strides: list[int]) -> None:
    with pytest.raises(ConfigError, match="IN_FEATURES: got levels of strides"):
        Vote(3, strides, 2)


def test_the_head_scores_boxes_by_softmax_and_moves_them_by_deltas() -> None:
    head = _head("MODEL.ROI_HEADS.IN_FEATURES", ["p4"]).eval()
    for layer in (head.box_head.cls_score, head.box_head.bbox_pred):
        nn.init.normal_(layer.weight, std=0.5)
    features = torch.randn(1, 8, 6, 6)
    box = [10.0, 20, 70, 90]
    proposals = _proposals([box])
    with torch.no_grad():
        (found,), _ = head(None, {"p4": features}, [proposals])
        scores, deltas = head.box_head(features)
    logits = torch.from_numpy(_vote_by_hand(scores[0].numpy(), box, 16, 3, 2))
    moves = torch.from_numpy(_vote_by_hand(deltas[0].numpy(), box, 16, 3, 2))
    assert scores.shape[1] == 9 * 3 and deltas.shape[1] == 9 * 4
    order = found.pred_classes.argsort()
    torch.testing.assert_close(
        found.scores[order].double(), logits.softmax(0)[:2], atol=1e-5, rtol=0
    )
    wanted = head.box_predictor.box2box_transform.apply_deltas(
        moves[None].float(), torch.tensor([box])
    )
    clipped = Boxes(wanted)
    clipped.clip((96, 96))
    torch.testing.assert_close(found.pred_boxes.tensor[order[0]], clipped.tensor[0],
                               atol=1e-3, rtol=0)  # fmt: skip


def test_boxes_by_category_when_the_config_says_so() -> None:
    head = _head("MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", False).eval()
    assert head.box_head.bbox_pred.out_channels == 9 * 4 * 2
    features = {"p3": torch.randn(1, 8, 12, 12), "p4": torch.randn(1, 8, 6, 6)}
    (found,), _ = head(None, features, [_proposals([[10, 20, 70, 90]])])
    assert len(found) == 2, "one box by category, of one proposal"


def test_a_tiny_detector_learns_one_picture_and_finds_its_objects() -> None:
    model = _model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    with EventStorage():
        for _ in range(30):
            parts = model([EXAMPLE])
            loss = sum(parts.values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append({name: float(part.detach()) for name, part in parts.items()})
    first, last = sum(losses[0].values()), sum(losses[-1].values())
    assert last < first / 2 and losses[-1]["loss_cls"] < losses[0]["loss_cls"] / 3
    with torch.no_grad():
        found = model.eval()([EXAMPLE])[0]["instances"]
    assert set(found.pred_classes[:2].tolist()) == {0, 1}
    overlap = _iou(found.pred_boxes.tensor[:2], found.pred_classes[:2])
    assert (overlap > 0.5).all(), overlap


def _iou(boxes: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    truth = EXAMPLE["instances"].gt_boxes.tensor[classes]
    low, high = torch.maximum(boxes[:, :2], truth[:, :2]), torch.minimum(boxes[:, 2:], truth[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, truth)]
    return shared / (areas[0] + areas[1] - shared)


def test_gradients_reach_every_convolution_of_the_head_and_the_backbone() -> None:
    model = _model()
    with EventStorage():
        losses = model([EXAMPLE])
    assert {"loss_cls", "loss_box_reg", "loss_rpn_cls", "loss_rpn_loc"} == set(losses)
    (losses["loss_cls"] + losses["loss_box_reg"]).backward()
    head = model.roi_heads.box_head
    for layer in (head.conv, head.cls_score, head.bbox_pred, model.backbone.fpn_output3):
        assert layer.weight.grad.abs().sum() > 0


def test_masks_come_from_detectron2s_head() -> None:
    model = _model(
        "MODEL.MASK_ON", True,
        "MODEL.ROI_MASK_HEAD.NAME", "MaskRCNNConvUpsampleHead",
        "MODEL.ROI_MASK_HEAD.CONV_DIM", 16,
        "MODEL.ROI_MASK_HEAD.NUM_CONV", 1,
    )  # fmt: skip
    with EventStorage():
        assert "loss_mask" in model([EXAMPLE])
    with torch.no_grad():
        found = model.eval().inference([EXAMPLE], do_postprocess=False)[0]
    assert found.pred_masks.shape == (len(found), 1, 28, 28)


def test_pictures_without_objects_and_without_proposals() -> None:
    model = _model()
    with EventStorage():
        losses = model([EXAMPLE, _example([], [])])
    assert all(torch.isfinite(loss) for loss in losses.values())
    head = model.roi_heads.eval()
    features = {"p3": torch.randn(2, 32, 12, 12), "p4": torch.randn(2, 32, 6, 6)}
    none, some = _proposals([]), _proposals([[5, 5, 60, 80]])
    with torch.no_grad():
        found, _ = head(None, features, [none, some])
        assert [len(instances) for instances in found] == [0, 2]
        found, _ = head(None, features, [none, none])
        assert [len(instances) for instances in found] == [0, 0]


def test_nothing_to_learn_from_is_no_loss() -> None:
    head = _head("MODEL.ROI_HEADS.PROPOSAL_APPEND_GT", False)
    features = {"p3": torch.randn(1, 8, 12, 12), "p4": torch.randn(1, 8, 6, 6)}
    with EventStorage():
        _, losses = head(None, features, [_proposals([])], [_example([], [])["instances"]])
    assert [float(loss.detach()) for loss in losses.values()] == [0, 0]


def test_neighbours_do_not_change_detections() -> None:
    model = _model().eval()
    others = [_example([[20, 10, 70, 90]], [1]), _example([], [])]
    with torch.no_grad():
        alone = model([EXAMPLE])[0]["instances"]
        together = model([others[0], EXAMPLE, others[1]])[1]["instances"]
    assert len(alone) == len(together) > 0
    torch.testing.assert_close(alone.scores, together.scores, atol=1e-5, rtol=0)
    torch.testing.assert_close(alone.pred_boxes.tensor, together.pred_boxes.tensor,
                               atol=1e-3, rtol=0)  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_nearly_the_same(dtype: torch.dtype) -> None:
    head = _head().eval()
    features = {"p3": torch.randn(1, 8, 12, 12), "p4": torch.randn(1, 8, 6, 6)}
    proposals = [_proposals([[5, 5, 60, 80], [0, 0, 96, 96]])]
    with torch.no_grad():
        (whole,), _ = head(None, features, proposals)
        with torch.autocast("cpu", dtype):
            (half,), _ = head(None, features, proposals)
    assert half.scores.dtype == torch.float32 and len(half) == len(whole) > 0
    torch.testing.assert_close(half.scores.sort().values, whole.scores.sort().values,
                               atol=0.01, rtol=0)  # fmt: skip
    head.train()
    with EventStorage(), torch.autocast("cpu", dtype):
        _, losses = head(None, features, proposals, [EXAMPLE["instances"]])
    sum(losses.values()).backward()
    assert torch.isfinite(head.box_head.cls_score.weight.grad).all()


def _sampled(count: int, seed: int, with_truth: bool) -> Instances:
    rng = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=rng) * 30
    sampled = _proposals(torch.cat([corners, corners + 40], dim=1))
    sampled.gt_classes = torch.full((count,), 2)
    if with_truth:
        sampled.gt_classes = torch.randint(0, 3, (count,), generator=rng)
        sampled.gt_boxes = Boxes(torch.cat([corners + 2, corners + 47], dim=1))
    return sampled


@pytest.mark.parametrize("agnostic", [True, False])
def test_hard_examples_are_the_boxes_with_the_greatest_loss(agnostic: bool) -> None:
    keys = ["MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG", agnostic,
            "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA", 0.5]  # fmt: skip
    all_boxes, hard = (VotePredictor(_cfg(*keys, "MODEL.RFCN.HARD_ROIS", n)) for n in (0, 4))
    proposals = [_sampled(9, 1, True), _sampled(3, 2, False), _sampled(6, 3, True)]
    predictions = torch.randn(18, 3), torch.randn(18, 4 if agnostic else 8)
    with EventStorage():
        each = [
            sum(all_boxes.losses(tuple(x[i : i + 1] for x in predictions), [one]).values())
            for i, one in enumerate(p[[j]] for p in proposals for j in range(len(p)))
        ]
        got = hard.losses(predictions, proposals)
    totals = torch.stack(each)
    torch.testing.assert_close(hard.loss_of_each(predictions, proposals), totals)
    kept = [totals[:9].topk(4).values, totals[9:12], totals[12:].topk(4).values]
    torch.testing.assert_close(sum(got.values()), torch.cat(kept).mean())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["MODEL.RFCN.BINS", 0], "MODEL.RFCN.BINS: got 0, wanted 1 or more"),
        (["MODEL.RFCN.SAMPLING_RATIO", 0], "SAMPLING_RATIO: got 0"),
        (["MODEL.RFCN.HARD_ROIS", -1], "HARD_ROIS: got -1, wanted 0 or more"),
        (["MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES", True], "TRAIN_ON_PRED_BOXES: R-FCN cannot"),
        (["MODEL.RFCN.HARD_ROIS", 9, "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE", "giou"], "smooth_l1"),
    ],
)
def test_bad_keys_are_told(changes: list[Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _head(*changes)

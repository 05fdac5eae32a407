"""R-FCN's head for Detectron2: boxes are scored by voting on position-sensitive maps.

Dai, Li, He, Sun, "R-FCN: Object Detection via Region-based Fully Convolutional Networks", 2016.
All convolutions run once on the image. They make k x k groups of maps, one for each part of an
object (its top left, its top centre, ...). A box is cut into k x k bins, each bin is averaged over
its own part's map, and the mean of the bins is the answer. Nothing is computed for each box but
these averages, so a box costs little.

A detector's YAML asks for it with ``MODEL.ROI_HEADS.NAME: PositionSensitiveROIHeads``; set
``MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG: true`` for the paper's 4 k k box maps (false makes them
for every category). Bins are sampled bilinearly (torchvision's ``ps_roi_align``), not rounded to
pixels as in the paper. On a pyramid the maps' weights are shared by the levels, and a box takes
the level that Detectron2 gives it. Matching, losses, thresholds, suppression and the mask head
are Detectron2's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import ROI_HEADS_REGISTRY, StandardROIHeads
from detectron2.modeling.poolers import assign_boxes_to_levels, convert_boxes_to_pooler_format
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Boxes, Instances
from torch import nn
from torch.nn.functional import cross_entropy, smooth_l1_loss
from torchvision.ops import ps_roi_align

from jeans_udf.errors import ConfigError

CANONICAL_SIZE, CANONICAL_LEVEL = 224, 4
"""A box of 224 x 224 pixels belongs on level 4 (stride 16): Detectron2's, after the FPN paper."""


def add_rfcn_config(cfg: CfgNode) -> None:
    """Add the keys of R-FCN with their defaults to a Detectron2 config (in place)."""
    cfg.MODEL.RFCN = CfgNode()
    # k: a box is cut into k x k bins, each with its own map.
    cfg.MODEL.RFCN.BINS = 7
    # Channels of the 1 x 1 convolution before the maps; the paper's, on one level, has 1024.
    cfg.MODEL.RFCN.CONV_DIM = 256
    # A bin is the mean of this number squared of points.
    cfg.MODEL.RFCN.SAMPLING_RATIO = 2
    # Online hard example mining: of an image's sampled boxes only the so many with the greatest
    # loss are learnt (the paper: 128 of all 300, so raise ROI_HEADS.BATCH_SIZE_PER_IMAGE too).
    # 0: all of them, as with the other heads.
    cfg.MODEL.RFCN.HARD_ROIS = 0


class PositionSensitiveMaps(nn.Module):
    """One level's features (N, in, H, W) to score maps and box maps.

    Scores are (N, (C + 1) k k, H, W), the background last, boxes (N, 4 k k, H, W), or
    (N, 4 C k k, H, W) by category. Channel ``(c k + row) k + column`` is output c in that bin.
    """

    def __init__(self, in_channels: int, width: int, bins: int, scores: int, deltas: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, 1)
        self.cls_score = nn.Conv2d(width, scores * bins**2, 1)
        self.bbox_pred = nn.Conv2d(width, deltas * bins**2, 1)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")
        # As Detectron2 starts the layers that these stand for.
        nn.init.normal_(self.cls_score.weight, std=0.01)
        nn.init.normal_(self.bbox_pred.weight, std=0.001)
        for layer in (self.conv, self.cls_score, self.bbox_pred):
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.conv(features))
        return self.cls_score(features), self.bbox_pred(features)


class Vote(nn.Module):
    """The mean of each box's bins, from the level of its size.

    ``strides`` are the levels', finest first; raises `ConfigError` when they do not double.
    """

    def __init__(self, bins: int, strides: Sequence[int], sampling_ratio: int) -> None:
        super().__init__()
        levels = [math.log2(stride) for stride in strides]
        if levels != [levels[0] + i for i in range(len(levels))] or not levels[0].is_integer():
            raise ConfigError(
                f"MODEL.ROI_HEADS.IN_FEATURES: got levels of strides {list(strides)}; wanted "
                "powers of two, each double the one before, as [p3, p4, p5]"
            )
        self.bins = bins
        self.strides = tuple(strides)
        self.first_level, self.last_level = int(levels[0]), int(levels[-1])
        self.sampling_ratio = sampling_ratio

    def forward(self, maps: Sequence[torch.Tensor], boxes: Sequence[Boxes]) -> torch.Tensor:
        """Maps (N, D k k, H, W) of each level, boxes of each image, to votes (R, D) float32.

        Boxes are XYXY pixels of the batch; R is their number in all images, in their order.
        """
        rois = convert_boxes_to_pooler_format(list(boxes))
        levels = assign_boxes_to_levels(
            list(boxes), self.first_level, self.last_level, CANONICAL_SIZE, CANONICAL_LEVEL
        )
        # In half precision the corners of a large box would move by pixels, so both are float32.
        rois = rois.float()
        votes = rois.new_zeros(len(rois), maps[0].shape[1] // self.bins**2)
        for level, (level_maps, stride) in enumerate(zip(maps, self.strides, strict=True)):
            (mine,) = torch.where(levels == level)
            pooled = ps_roi_align(
                level_maps.float(), rois[mine], self.bins, 1 / stride, self.sampling_ratio
            )
            votes = votes.index_put((mine,), pooled.mean(dim=(2, 3)))
        return votes


class VotePredictor(FastRCNNOutputLayers):
    """Detectron2's losses and inference on votes: it gets logits (R, C + 1) and deltas made.

    With ``hard_rois`` > 0 the losses are of each image's so many boxes with the greatest loss.
    """

    def __init__(self, cfg: CfgNode) -> None:
        super().__init__(cfg, ShapeSpec(channels=1))
        # The maps hold the weights; those of Detectron2's linear layers would never be used.
        del self.cls_score, self.bbox_pred
        self.hard_rois = cfg.MODEL.RFCN.HARD_ROIS
        if self.hard_rois and self.box_reg_loss_type != "smooth_l1":
            raise ConfigError(
                "MODEL.RFCN.HARD_ROIS: works with MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_TYPE smooth_l1, "
                f"got {self.box_reg_loss_type!r}; set one of them back"
            )

    def losses(
        self, predictions: tuple[torch.Tensor, torch.Tensor], proposals: list[Instances]
    ) -> dict[str, torch.Tensor]:
        if self.hard_rois:
            losses = self.loss_of_each(predictions, proposals).split([len(p) for p in proposals])
            kept = [loss.topk(min(self.hard_rois, len(loss))).indices for loss in losses]
            starts = torch.tensor([0, *(len(p) for p in proposals)]).cumsum(0).tolist()
            rows = torch.cat([k + start for k, start in zip(kept, starts, strict=False)])
            predictions = predictions[0][rows], predictions[1][rows]
            proposals = [p[k] for p, k in zip(proposals, kept, strict=True)]
        return super().losses(predictions, proposals)

    @torch.no_grad()
    def loss_of_each(
        self, predictions: tuple[torch.Tensor, torch.Tensor], proposals: list[Instances]
    ) -> torch.Tensor:
        """Each sampled box's share in the loss, (R,): its category's, and its corners' if any."""
        logits, deltas = predictions
        classes = torch.cat([p.gt_classes for p in proposals])
        boxes = torch.cat([p.proposal_boxes.tensor for p in proposals])
        truth = torch.cat(
            [(p.gt_boxes if p.has("gt_boxes") else p.proposal_boxes).tensor for p in proposals]
        )
        losses = cross_entropy(logits, classes, reduction="none")
        (garment,) = torch.where(classes < self.num_classes)
        wanted = self.box2box_transform.get_deltas(boxes[garment], truth[garment])
        mine = deltas[garment].view(len(garment), -1, 4)
        if mine.shape[1] > 1:
            mine = mine[torch.arange(len(garment)), classes[garment]][:, None]
        corners = smooth_l1_loss(mine[:, 0], wanted, reduction="none", beta=self.smooth_l1_beta)
        weight = self.loss_weight.get("loss_box_reg", 1.0)
        return losses.index_add(0, garment, corners.sum(dim=1) * weight)


@ROI_HEADS_REGISTRY.register()
class PositionSensitiveROIHeads(StandardROIHeads):
    """R-FCN's head; a mask head as with any other when ``MODEL.MASK_ON`` asks for it."""

    @classmethod
    def _init_box_head(cls, cfg: CfgNode, input_shape: dict[str, ShapeSpec]) -> dict[str, Any]:
        names, keys = cfg.MODEL.ROI_HEADS.IN_FEATURES, cfg.MODEL.RFCN
        categories = cfg.MODEL.ROI_HEADS.NUM_CLASSES
        _check(cfg)
        deltas = 4 if cfg.MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG else 4 * categories
        strides = [input_shape[name].stride for name in names]
        return {
            "box_in_features": names,
            "box_head": PositionSensitiveMaps(
                input_shape[names[0]].channels, keys.CONV_DIM, keys.BINS, categories + 1, deltas
            ),
            "box_pooler": Vote(keys.BINS, strides, keys.SAMPLING_RATIO),
            "box_predictor": VotePredictor(cfg),
        }

    def _forward_box(
        self, features: dict[str, torch.Tensor], proposals: list[Instances]
    ) -> dict[str, torch.Tensor] | list[Instances]:
        """Losses in training; else the detections of each image."""
        boxes = [p.proposal_boxes for p in proposals]
        maps = [self.box_head(features[name]) for name in self.box_in_features]
        scores, deltas = (self.box_pooler(kind, boxes) for kind in zip(*maps, strict=True))
        if self.training:
            return self.box_predictor.losses((scores, deltas), proposals)
        detections, _ = self.box_predictor.inference((scores, deltas), proposals)
        return detections


def _check(cfg: CfgNode) -> None:
    for key, least in (("BINS", 1), ("CONV_DIM", 1), ("SAMPLING_RATIO", 1), ("HARD_ROIS", 0)):
        got = cfg.MODEL.RFCN[key]
        if got < least:
            raise ConfigError(f"MODEL.RFCN.{key}: got {got}, wanted {least} or more")
    if cfg.MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES:
        raise ConfigError("MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES: R-FCN cannot; set it to false")

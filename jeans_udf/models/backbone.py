"""Backbones with a feature pyramid, registered with Detectron2: timm's networks and its ResNets.

A detector's YAML asks for one with ``MODEL.BACKBONE.NAME: build_pyramid_backbone``. A network of
timm is named in ``MODEL.TIMM.NAME``; ``MODEL.FPN.IN_FEATURES`` are its stages ``s2`` ... ``s5``
(strides 4 ... 32), or ``res2`` ... ``res5`` of a ResNet. The pyramid is Detectron2's own, after Lin
et al., "Feature Pyramid Networks", 2017.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone, build_resnet_backbone
from detectron2.modeling.backbone.fpn import FPN, LastLevelMaxPool, LastLevelP6P7
from torch import nn

from jeans_udf.models.freezing import freeze_first


def add_timm_config(cfg: CfgNode) -> None:
    """Add the keys of backbones with their defaults to a Detectron2 config (in place)."""
    cfg.MODEL.TIMM = CfgNode()
    # A name of timm.list_models().
    cfg.MODEL.TIMM.NAME = "tf_efficientnet_lite0"
    # How many first blocks stay as pretrained: 1 = the stem, 2 = the stem and the first stage, ...
    cfg.MODEL.TIMM.FREEZE_AT = 2
    cfg.MODEL.PYRAMID = CfgNode()
    # The network below the pyramid: timm (MODEL.TIMM) or resnet (MODEL.RESNETS).
    cfg.MODEL.PYRAMID.BOTTOM_UP = "timm"
    # Levels above the network's: pool (one more, as in Faster and Mask R-CNN) or convs (p6 and p7
    # by convolutions, as in RetinaNet).
    cfg.MODEL.PYRAMID.TOP = "pool"


class TimmBackbone(Backbone):
    """A timm network's feature maps as ``s2`` ... ``s5``, (N, C, H / stride, W / stride) float32.

    Batch norm keeps its pretrained statistics: a few photos a step are too few to estimate them.
    """

    def __init__(self, name: str, out_features: list[str], freeze_at: int) -> None:
        super().__init__()
        self.net = timm.create_model(name, features_only=True, pretrained=False)
        info: Any = self.net.feature_info
        self._stages = [f"s{stride.bit_length() - 1}" for stride in info.reduction()]
        unknown = [feature for feature in out_features if feature not in self._stages]
        if unknown:
            raise ValueError(
                f"MODEL.FPN.IN_FEATURES: {name} has no {unknown}; it has {self._stages}"
            )
        self._out_features = out_features
        self._out_feature_channels = dict(zip(self._stages, info.channels(), strict=True))
        self._out_feature_strides = dict(zip(self._stages, info.reduction(), strict=True))
        freeze_first(self.net, freeze_at)

    def train(self, mode: bool = True) -> TimmBackbone:
        super().train(mode)
        for module in self.net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        # Depthwise convolutions run about a third faster in this layout on CPUs, and slower in
        # bfloat16 than in float32 there.
        on_gpu = images.device.type == "cuda"
        with torch.autocast(images.device.type, enabled=on_gpu and torch.is_autocast_enabled()):
            maps = self.net(images.contiguous(memory_format=torch.channels_last))
        return {
            stage: features
            for stage, features in zip(self._stages, maps, strict=True)
            if stage in self._out_features
        }


BOTTOM_UPS = {
    "timm": lambda cfg, shape: TimmBackbone(
        cfg.MODEL.TIMM.NAME, list(cfg.MODEL.FPN.IN_FEATURES), cfg.MODEL.TIMM.FREEZE_AT
    ),
    "resnet": build_resnet_backbone,
}
TOPS = {
    "pool": lambda last, channels, out: LastLevelMaxPool(),
    "convs": lambda last, channels, out: LastLevelP6P7(channels, out, in_feature=last),
}


@BACKBONE_REGISTRY.register()
def build_pyramid_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> FPN:
    """Detectron2's FPN over the network and with the top that ``MODEL.PYRAMID`` names.

    Levels are ``p<log2 stride>``. Names of tensors are those of Detectron2's own
    ``build_resnet_fpn_backbone`` and ``build_retinanet_resnet_fpn_backbone``, so that weights of
    its model zoo fit.
    """
    pyramid = cfg.MODEL.PYRAMID
    for key, value, known in (
        ("BOTTOM_UP", pyramid.BOTTOM_UP, BOTTOM_UPS),
        ("TOP", pyramid.TOP, TOPS),
    ):
        if value not in known:
            raise ValueError(
                f"MODEL.PYRAMID.{key}: got {value!r}, wanted one of {', '.join(known)}"
            )
    bottom_up: Any = BOTTOM_UPS[pyramid.BOTTOM_UP](cfg, input_shape)
    in_features = list(cfg.MODEL.FPN.IN_FEATURES)
    if pyramid.TOP == "convs":
        # RetinaNet's pyramid begins at stride 8: a level below would cost most and be read by none.
        strides = bottom_up.output_shape()
        in_features = [name for name in in_features if strides[name].stride >= 8]
    last = in_features[-1]
    channels = bottom_up.output_shape()[last].channels
    return FPN(
        bottom_up=bottom_up,
        in_features=in_features,
        out_channels=cfg.MODEL.FPN.OUT_CHANNELS,
        norm=cfg.MODEL.FPN.NORM,
        top_block=TOPS[pyramid.TOP](last, channels, cfg.MODEL.FPN.OUT_CHANNELS),
        fuse_type=cfg.MODEL.FPN.FUSE_TYPE,
    )

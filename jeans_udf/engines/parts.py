"""The convolutional parts of Detectron2's models, handed to an engine.

A part takes and gives feature maps: the backbone with its pyramid, the heads of RPN and RetinaNet,
the box head, the mask head's layers. What it gives may be nested; an engine sees flat tuples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from jeans_udf.engines.engine import Engine, Run
from jeans_udf.engines.nested import flat, nested_as

SIDE = 128
"""Height and width, in pixels, of the picture that the parts are tried on."""
ROWS = 2
"""Pictures, or boxes. Not 1, which an export may take for a constant."""

Features = dict[str, torch.Tensor]


class Handed(nn.Module):
    """Stands in a part's place: the same nested tensors in and out, by the engine."""

    def __init__(self, run: Run, pattern: Any) -> None:
        super().__init__()
        self.run, self.pattern = run, pattern

    def forward(self, *inputs: Any) -> Any:
        tensors = flat(inputs)
        if len(tensors[0]) == 0:
            # No box was found, and not every engine runs on nothing.
            rows = [tensor.new_zeros(1, *tensor.shape[1:]) for tensor in tensors]
            return nested_as(self.pattern, [output[:0] for output in self.run(rows)])
        return nested_as(self.pattern, self.run(tensors))


class Flat(nn.Module):
    """``net`` with plain tensors for arguments and a tuple of tensors for its answer."""

    def __init__(self, net: nn.Module, pattern: Any) -> None:
        super().__init__()
        self.net, self.pattern = net, pattern

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(flat(self.net(*nested_as(self.pattern, tensors))))


def hand_over(model: Any, engine: Engine, prefix: str = "") -> None:
    """Put ``engine`` in the places of the convolutional parts of ``model``, a Detectron2 detector.

    ``model`` is on the CPU, in evaluation mode. ``prefix`` tells its parts from those of another
    model that the same engine serves.
    """
    picture = torch.zeros(ROWS, 3, SIDE, SIDE)
    with torch.no_grad():
        features: Features = model.backbone(picture)
    for part in PARTS:
        net = part.find(model)
        if net is not None:
            inputs = (picture,) if part.example is None else part.example(model, features)
            part.put(model, handed(net, engine, prefix + part.name, inputs, part.any_size))


def handed(
    net: nn.Module, engine: Engine, name: str, inputs: tuple[Any, ...], any_size: bool
) -> Handed:
    """``net`` as ``engine`` runs it; ``inputs`` are an example of its arguments."""
    with torch.no_grad():
        pattern = net(*inputs)
    run = engine.run(name, Flat(net, inputs), flat(inputs), any_size=any_size)
    return Handed(run, pattern)


@dataclass(frozen=True)
class Part:
    """One part: how to find it in a model, its arguments, and how to put another in its place.

    ``example(model, features)`` gives its arguments for the features of a picture; None: the
    picture itself. ``any_size``: its maps are as large as pictures are, boxes' are of one size.
    """

    name: str
    find: Callable[[Any], nn.Module | None]
    example: Callable[[Any, Features], tuple[Any, ...]] | None
    put: Callable[[Any, Handed], None]
    any_size: bool


def _rpn_head(model: Any) -> nn.Module | None:
    return getattr(getattr(model, "proposal_generator", None), "rpn_head", None)


def _put_rpn_head(model: Any, part: Handed) -> None:
    model.proposal_generator.rpn_head = part


def _rpn_levels(model: Any, features: Features) -> tuple[Any, ...]:
    return ([features[name] for name in model.proposal_generator.in_features],)


def _dense_head(model: Any) -> nn.Module | None:
    return getattr(model, "head", None)


def _put_dense_head(model: Any, part: Handed) -> None:
    model.head = part


def _dense_levels(model: Any, features: Features) -> tuple[Any, ...]:
    return ([features[name] for name in model.head_in_features],)


def _box_head(model: Any) -> nn.Module | None:
    heads = getattr(model, "roi_heads", None)
    # R-FCN's head sees whole maps, no pooled boxes.
    pooled = hasattr(getattr(heads, "box_pooler", None), "output_size")
    return getattr(heads, "box_head", None) if pooled else None


def _put_box_head(model: Any, part: Handed) -> None:
    model.roi_heads.box_head = part


def _boxes(model: Any, features: Features) -> tuple[Any, ...]:
    heads = model.roi_heads
    channels = features[heads.box_in_features[0]].shape[1]
    return (torch.zeros(ROWS, channels, *heads.box_pooler.output_size),)


def _map_head(model: Any) -> nn.Module | None:
    heads = getattr(model, "roi_heads", None)
    return None if heads is None or _box_head(model) is not None else heads.box_head


def _one_level(model: Any, features: Features) -> tuple[Any, ...]:
    return (features[model.roi_heads.box_in_features[0]],)


def _mask_layers(model: Any) -> nn.Module | None:
    head = getattr(getattr(model, "roi_heads", None), "mask_head", None)
    return nn.Sequential(*head) if isinstance(head, nn.Sequential) else None


def _put_mask_layers(model: Any, part: Handed) -> None:
    # A method there: the attribute of the instance goes before it. The layers go, they are heavy.
    head = model.roi_heads.mask_head
    for name in list(head._modules):
        del head._modules[name]
    head.layers = part.forward


def _mask_boxes(model: Any, features: Features) -> tuple[Any, ...]:
    heads = model.roi_heads
    channels = features[heads.mask_in_features[0]].shape[1]
    return (torch.zeros(ROWS, channels, *heads.mask_pooler.output_size),)


def _backbone(model: Any) -> nn.Module | None:
    net: nn.Module = model.backbone
    return net


def _put_backbone(model: Any, part: Handed) -> None:
    # What Detectron2 asks of a backbone besides its answer.
    for name in ("size_divisibility", "padding_constraints"):
        if hasattr(model.backbone, name):
            setattr(part, name, getattr(model.backbone, name))
    model.backbone = part


PARTS = (
    Part("rpn_head", _rpn_head, _rpn_levels, _put_rpn_head, any_size=True),
    Part("dense_head", _dense_head, _dense_levels, _put_dense_head, any_size=True),
    Part("box_head", _box_head, _boxes, _put_box_head, any_size=False),
    Part("map_head", _map_head, _one_level, _put_box_head, any_size=True),
    Part("mask_layers", _mask_layers, _mask_boxes, _put_mask_layers, any_size=False),
    Part("backbone", _backbone, None, _put_backbone, any_size=True),
)

"""Pretrained weights for a classifier: of its backbone, or of another classifier like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.training.weight_files import read_safetensors

Statistics = tuple[float, float, float]


def load_backbone(model: nn.Module, file: Path) -> int:
    """Fill all but the last layer or head from a safetensors file; returns how many tensors.

    Names are timm's, with or without ``body.`` before them; a head that fits is taken too. Raises
    `ConfigError` when the file lacks a tensor of the backbone.
    """
    own = model.state_dict()
    prefix = "body." if hasattr(model, "body") else ""
    tensors = {}
    for name, value in read_safetensors(file).items():
        for place in (name, prefix + name, name.removeprefix("body.")):
            if place in own and own[place].shape == value.shape:
                tensors[place] = value.float()
    head = "head." if prefix else f"{_classifier_name(model)}."
    lacking = [name for name in own if name not in tensors and not name.startswith(head)]
    if lacking:
        raise ConfigError(
            f"weights {file}: {len(lacking)} tensors of the backbone are not in it, or of another "
            f"shape: {', '.join(lacking[:3])}; was the file made for this backbone?"
        )
    model.load_state_dict(tensors, strict=False)
    return len(tensors)


def statistics(backbone: str) -> tuple[Statistics, Statistics]:
    """Mean and deviation of the pictures that timm's ``backbone`` was pretrained on, 0 to 1."""
    settings: Any = timm.get_pretrained_cfg(backbone)
    return tuple(settings.mean), tuple(settings.std)


def _classifier_name(model: Any) -> str:
    name = model.default_cfg["classifier"]
    return name if isinstance(name, str) else name[0]

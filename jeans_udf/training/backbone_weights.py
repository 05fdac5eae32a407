"""Pretrained weights for a classifier: of its backbone, or of another classifier like it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.training.weight_files import read_safetensors

Statistics = tuple[float, float, float]
COUNTER = "num_batches_tracked"
"""Of batch norms; nothing here reads it, and older files lack it."""


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
    heads = ("head.",) if prefix else _heads(model)
    lacking = [
        name
        for name in own
        if name not in tensors and not name.startswith(heads) and not name.endswith(COUNTER)
    ]
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


def _heads(model: Any) -> tuple[str, ...]:
    """How the names of the last layers begin: distilled transformers have two."""
    names = model.default_cfg["classifier"] or ()
    return tuple(f"{name}." for name in ((names,) if isinstance(names, str) else names))

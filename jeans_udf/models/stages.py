"""The stages of a timm network, from the input on: for freezing and for discriminative rates."""

from __future__ import annotations

from torch import nn

LISTS = ("blocks", "stages")
"""timm's names of a module that is a list of stages; others (ResNet's ``layer1``) are one."""


def stages(net: nn.Module) -> list[nn.Module]:
    """The parts of ``net`` with parameters, in order: stem layers, stage after stage, last layer."""
    parts: list[nn.Module] = []
    for name, child in net.named_children():
        parts += list(child.children()) if name in LISTS else [child]
    return [part for part in parts if any(True for _ in part.parameters())]

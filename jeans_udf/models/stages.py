"""The stages of a timm network, from the input on: for discriminative learning rates."""

from __future__ import annotations

from torch import nn

WRAPPERS = ("blocks", "stages", "body")
"""Modules that are a list of stages, or a whole network; others (ResNet's ``layer1``) are one."""


def stages(net: nn.Module) -> list[nn.Module]:
    """The parts of ``net`` with parameters, in order: stem layers, each stage, the last layers.

    ``net`` is timm's, or a `fastai_head.FastaiNet`, whose last part is its head. Parameters that
    lie in no layer, such as a transformer's tokens and positions, are the first part together.
    """
    loose = list(net.parameters(recurse=False))
    parts: list[nn.Module] = [nn.ParameterList(loose)] if loose else []
    for name, child in net.named_children():
        if name not in WRAPPERS:
            parts.append(child)
        else:
            parts += stages(child) if name == "body" else list(child.children())
    return [part for part in parts if any(True for _ in part.parameters())]

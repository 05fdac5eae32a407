"""Keeping the first layers of a pretrained network as they are."""

from __future__ import annotations

from torch import nn


def freeze_first(net: nn.Module, count: int) -> None:
    """Freeze the stem (``count`` 1) and the first ``count - 1`` stages of a timm network, in place.

    The stem is what comes before the first `nn.Sequential`, the stages are its members. Their edges
    and textures are the same for clothes as for anything; they take most of a step's memory.
    """
    if count < 1:
        return
    for child in net.children():
        if isinstance(child, nn.Sequential):
            for stage in list(child)[: count - 1]:
                stage.requires_grad_(False)
            return
        child.requires_grad_(False)

"""A network that looks at each picture twice: as it is, and mirrored."""

from __future__ import annotations

import torch
from torch import nn


class Mirrored(nn.Module):
    """The mean of ``net``'s outputs on pictures (N, 3, H, W) and on their mirror images."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        both: torch.Tensor = self.net(torch.cat([pictures, pictures.flip(3)]))
        return both.view(2, -1, both.shape[1]).mean(0)

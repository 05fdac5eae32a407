"""A timm network with the head that fastai's ``vision_learner`` puts on it, in plain torch.

The head pools by maximum and by average, in this order, and has one hidden layer; batch norm and
dropout stand before each linear layer. Networks without a map of features (vision transformers)
pool by themselves. So it is in fastai since v1; recipes of it, and learners that were imported, run
without fastai.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import nn

HIDDEN = 512
"""Units of the hidden layer."""
DROPOUT = 0.5
"""Share of hidden units dropped while training; of the body's features half of it."""


class FastaiHead(nn.Module):
    """Features (N, C, H, W), or (N, C) when ``pooled``, to logits (N, ``outputs``)."""

    def __init__(self, features: int, outputs: int, *, pooled: bool) -> None:
        super().__init__()
        width = features if pooled else 2 * features
        self.pooled = pooled
        self.norm1 = nn.BatchNorm1d(width)
        self.drop1 = nn.Dropout(DROPOUT / 2)
        self.linear1 = nn.Linear(width, HIDDEN)
        self.norm2 = nn.BatchNorm1d(HIDDEN)
        self.drop2 = nn.Dropout(DROPOUT)
        self.linear2 = nn.Linear(HIDDEN, outputs)
        # As fastai starts them.
        for linear in (self.linear1, self.linear2):
            nn.init.kaiming_normal_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        if not self.pooled:
            features = torch.cat([features.amax((2, 3)), features.mean((2, 3))], dim=1)
        hidden = torch.relu(self.linear1(self.drop1(self.norm1(features))))
        return self.linear2(self.drop2(self.norm2(hidden)))


class FastaiNet(nn.Module):
    """Pictures (N, 3, H, W) to logits (N, ``outputs``): ``body`` is timm's, ``head`` fastai's."""

    def __init__(self, backbone: str, outputs: int) -> None:
        super().__init__()
        body: Any = timm.create_model(backbone, pretrained=False, num_classes=0)
        # How fastai tells whether a network gives a map.
        self.pooled = body.default_cfg.get("pool_size") is None
        self.body: Any = body
        self.head = FastaiHead(body.num_features, outputs, pooled=self.pooled)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        body = self.body if self.pooled else self.body.forward_features
        return self.head(body(pictures))

"""Batch norms folded into convolutions: the same answers, and never other ones."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from jeans_udf.models.folding import folded


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def used(net: nn.Module) -> nn.Module:
    """``net`` with batch norms that do something, as after a training."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return net.eval()


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv3_small_050", "resnet10t"])
def test_the_same_answer_without_batch_norms(name: str) -> None:
    net = used(timm.create_model(name, num_classes=5))
    picture = torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        before, fast = net(picture), folded(net)
        torch.testing.assert_close(fast(picture), before, rtol=1e-4, atol=1e-4)
    assert norms(net) > 0 and norms(fast) < norms(net) / 4


class Crossed(nn.Module):
    """Names a batch norm after a convolution that it does not follow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.conv(self.norm(pixels).relu())


def test_a_norm_that_does_not_follow_is_left() -> None:
    net = used(Crossed())
    assert folded(net) is net and norms(net) == 1


def test_a_network_without_batch_norms_is_itself() -> None:
    net = nn.Conv2d(3, 4, 3)
    assert folded(net) is net

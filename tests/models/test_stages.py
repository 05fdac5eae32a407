from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from jeans_udf.models.fastai_head import FastaiHead, FastaiNet
from jeans_udf.models.stages import stages

RESNET = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"]
DISTILLED = "deit_tiny_distilled_patch16_224"
LITE = ["conv_stem", "bn1", *(f"blocks.{k}" for k in range(7)), "conv_head", "bn2"]
TRANSFORMER = ["patch_embed", *(f"blocks.{k}" for k in range(6)), "norm"]


def _names(net: nn.Module) -> list[str]:
    names = {id(module): name for name, module in net.named_modules()}
    return [names.get(id(part), type(part).__name__) for part in stages(net)]


@pytest.mark.parametrize(
    ("backbone", "parts"),
    [
        ("resnet18", [*RESNET, "fc"]),
        ("tf_efficientnet_lite0", [*LITE, "classifier"]),
        ("test_vit", ["ParameterList", *TRANSFORMER, "head"]),
        ("convnext_atto", ["stem", *(f"stages.{k}" for k in range(4)), "head"]),
    ],
)
def test_parts_come_from_the_input_on(backbone: str, parts: list[str]) -> None:
    assert _names(timm.create_model(backbone, num_classes=3)) == parts


@pytest.mark.parametrize(
    ("backbone", "parts"),
    [("resnet18", RESNET), ("tf_efficientnet_lite0", LITE), ("test_vit", TRANSFORMER)],
)
def test_below_fastais_head_stands_the_body(backbone: str, parts: list[str]) -> None:
    net = FastaiNet(backbone, 3)
    *body, head = stages(net)
    assert isinstance(head, FastaiHead)
    loose = ["ParameterList"] if backbone == "test_vit" else []
    assert _names(net) == [*loose, *(f"body.{part}" for part in parts), "head"]
    assert all(part is not net.body for part in body)


@pytest.mark.parametrize("head", ["linear", "fastai"])
@pytest.mark.parametrize(
    "backbone",
    ["resnet18", "tf_efficientnet_lite0", "test_vit", "test_convnext", DISTILLED],
)
def test_every_parameter_is_in_one_part(backbone: str, head: str) -> None:
    """What is in none would never be trained."""
    net = (
        FastaiNet(backbone, 3) if head == "fastai" else timm.create_model(backbone, num_classes=3)
    )
    found = [id(p) for part in stages(net) for p in part.parameters()]
    assert len(found) == len(set(found))
    assert set(found) == {id(p) for p in net.parameters()}


def test_tokens_and_positions_are_the_networks_own_parameters() -> None:
    net = timm.create_model("test_vit", num_classes=3)
    first = stages(net)[0]
    assert any(p is net.cls_token for p in first.parameters())
    before = set(net.state_dict())
    with torch.no_grad():
        next(iter(first.parameters())).fill_(7)
    assert set(net.state_dict()) == before, "no part is added to the network"
    assert any(bool((p == 7).all()) for p in net.parameters(recurse=False))


def test_a_network_without_parameters_has_no_parts() -> None:
    assert stages(nn.Sequential(nn.ReLU(), nn.Flatten())) == []

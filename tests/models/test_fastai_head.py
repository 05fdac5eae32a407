"""fastai's head in plain torch; whole networks of fastai: ``test_learner_import.py``."""

from __future__ import annotations

import pytest
import torch
from fastai.vision.learner import create_head

from jeans_udf.models.fastai_head import HIDDEN, FastaiHead, FastaiNet


@pytest.mark.parametrize("pooled", [False, True])
def test_it_is_fastais_head_by_order_of_layers(pooled: bool) -> None:
    torch.manual_seed(0)
    theirs = create_head(6, 4, pool=not pooled)
    ours = FastaiHead(6, 4, pooled=pooled)
    states = [layer.state_dict() for layer in theirs if layer.state_dict()]
    layers = (ours.norm1, ours.linear1, ours.norm2, ours.linear2)
    for layer, state in zip(layers, states, strict=True):
        for name in state:
            if state[name].is_floating_point():
                state[name] = torch.rand_like(state[name]) + 0.5
        layer.load_state_dict(state, strict=False)
    # The same order: theirs has the same layers with tensors, and no others.
    theirs.load_state_dict(
        {f"{place}.{name}": value
         for place, layer in zip(
             [p for p, part in theirs.named_children() if part.state_dict()], states, strict=True)
         for name, value in layer.items()}
    )  # fmt: skip
    features = torch.randn(3, 6) if pooled else torch.randn(3, 6, 5, 7)
    torch.testing.assert_close(ours.eval()(features), theirs.eval()(features))


def test_it_starts_as_fastai_starts_it() -> None:
    torch.manual_seed(0)
    head = FastaiHead(64, 10, pooled=False)
    assert not head.linear1.bias.any() and not head.linear2.bias.any()
    # He's initialisation: deviation sqrt(2 / inputs).
    assert float(head.linear2.weight.detach().std()) == pytest.approx((2 / HIDDEN) ** 0.5, rel=0.05)
    assert (head.drop1.p, head.drop2.p) == (0.25, 0.5)


NETWORKS = [("resnet18", False), ("vit_tiny_patch16_224", True)]


@pytest.mark.parametrize(("backbone", "pooled"), NETWORKS)
def test_networks_without_a_map_pool_by_themselves(backbone: str, pooled: bool) -> None:
    net = FastaiNet(backbone, 5).eval()
    assert net.pooled is pooled
    assert net(torch.zeros(2, 3, 224 if pooled else 64, 224 if pooled else 64)).shape == (2, 5)
    assert {name.split(".")[0] for name in net.state_dict()} == {"body", "head"}

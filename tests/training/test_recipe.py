from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from jeans_udf.drawing import draw_dataset
from jeans_udf.errors import ConfigError
from jeans_udf.models.detector import build_detector, read_detector_config
from jeans_udf.training.augment import Jitter
from jeans_udf.training.coco import read_coco
from jeans_udf.training.examples import Examples, Sampling
from jeans_udf.training.rate_finder import find_rate, proposed_rate
from jeans_udf.training.recipe import (
    Recipe,
    autocast,
    default_precision,
    parameter_groups,
    set_rate,
)
from jeans_udf.vocabulary import load_vocabulary

CPU = torch.device("cpu")


def test_the_rate_rises_then_falls() -> None:
    recipe = Recipe(learning_rate=1.0, warmup_steps=10)
    rates = [recipe.rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[50] == pytest.approx(0.5)
    assert max(range(100), key=lambda step: rates[step]) == 9
    assert all(a >= b for a, b in zip(rates[9:], rates[10:], strict=False))
    assert rates[99] == pytest.approx(0.01)


def test_an_unknown_precision_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'half'.*float32, bfloat16, float16"):
        Recipe(precision="half")
    assert default_precision(CPU) == "float32"


def test_autocast_computes_in_what_was_asked() -> None:
    layer = nn.Linear(4, 4)
    for precision in ("float32", "bfloat16"):
        with autocast(CPU, precision):
            assert layer(torch.ones(1, 4)).dtype is getattr(torch, precision)


def _model() -> nn.Module:
    return build_detector(read_detector_config("conf/detectors/rpn.yaml", "lite0_fpn"))


def test_the_pretrained_part_learns_at_a_third_and_frozen_parts_not_at_all() -> None:
    model = _model()
    optimizer = torch.optim.AdamW(parameter_groups(model, Recipe()))
    set_rate(optimizer, 0.3)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[id(model.proposal_generator.rpn_head.conv.weight)] == pytest.approx(0.3)
    net = model.backbone.bottom_up.net
    trained = [p for p in net.parameters() if p.requires_grad]
    assert trained and all(rates[id(p)] == pytest.approx(0.1) for p in trained)
    assert id(net.conv_stem.weight) not in rates


def test_the_proposed_rate_is_a_tenth_of_the_best() -> None:
    rates = [10.0**-k for k in range(6, 0, -1)]
    assert proposed_rate(rates, [3.0, 3.0, 2.0, 1.0, 2.0, 9.0]) == pytest.approx(1e-4)


def test_the_rate_finder_writes_its_curve_and_leaves_the_model(tmp_path: Path) -> None:
    drawn = draw_dataset(tmp_path / "drawn", 6, seed=2, negatives=0)
    categories = load_vocabulary("conf/vocabulary.yaml").categories
    photos = read_coco(drawn / "photos", drawn / "annotations/instances.json", categories)
    model = _model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    examples = Examples(photos, Jitter(64), Sampling(batch_size=2))
    rate = find_rate(model, examples, Recipe(), CPU, tmp_path / "rate.png", steps=10)
    assert 1e-7 < rate < 1e-1
    assert (tmp_path / "rate.png").stat().st_size > 1000
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())

"""The core of training a detector, for real, on a few drawn pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from jeans_udf.drawing import draw_dataset
from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.detector import evaluate_detector
from jeans_udf.models.detector import build_detector, load_weights, read_detector_config
from jeans_udf.training.augment import Jitter
from jeans_udf.training.coco import read_coco
from jeans_udf.training.detector import Evaluate, train_detector
from jeans_udf.training.examples import Examples, Sampling
from jeans_udf.training.recipe import Recipe
from jeans_udf.training.steps import Trainer
from jeans_udf.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("conf/vocabulary.yaml")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("drawn"), 8, seed=3, negatives=0.25)


def _detector():
    cfg = read_detector_config("conf/detectors/mask_rcnn.yaml", "lite0_fpn")
    torch.manual_seed(0)
    return build_detector(cfg)


def _train_detector(
    drawn: Path, output: Path, epochs: int, evaluate: Evaluate | None = None, **recipe: Any
) -> dict[str, Any]:
    photos = read_coco(
        drawn / "photos", drawn / "annotations/instances.json", VOCABULARY.categories
    )
    examples = Examples(photos, Jitter(64), Sampling(batch_size=2, paste=0.2))

    def judge(average: nn.Module) -> dict[str, Any]:
        return evaluate_detector(average, photos[:3], VOCABULARY.categories, 64, CPU)

    return train_detector(
        _detector(), examples, evaluate or judge, output=output, device=CPU,
        recipe=Recipe(epochs=epochs, warmup_steps=2, evaluate_every=1, **recipe),
    )  # fmt: skip


def _figures(ap: float) -> dict[str, Any]:
    figures = {"AP": ap, "AP50": ap}
    return {"bbox": figures, "segm": None, "tagged_negatives": {"0.5": 0.0}}


def test_the_best_epoch_is_kept_over_a_resume(drawn: Path, tmp_path: Path) -> None:
    """AP 0.2, 0.5, then after a resume 0.4: the second epoch's weights stay."""
    for epochs, course in ((2, [0.2, 0.5]), (3, [0.4])):
        values = iter(course)
        _train_detector(drawn, tmp_path, epochs, lambda _, values=values: _figures(next(values)))
        kept = load_file(tmp_path / "detector.safetensors")
        if epochs == 2:
            second = kept
    assert all(torch.equal(second[name], kept[name]) for name in kept)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["bbox"]["AP"] == 0.5 and metrics["best_epoch"] == 2
    assert metrics["training_seconds"] > 0 and metrics["training_cpu_seconds"] > 0
    last = load_file(tmp_path / "checkpoint" / "tensors.safetensors")
    changed = [name for name in kept if not torch.equal(last[f"average/{name}"], kept[name])]
    assert changed, "the third epoch learnt something, which is in the checkpoint alone"


def test_a_stopped_training_ends_where_an_unbroken_one_does(drawn: Path, tmp_path: Path) -> None:
    calls = []

    def stop_in_the_second_epoch(_: nn.Module) -> dict[str, Any]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return _figures(0.1)

    def same(_: nn.Module) -> dict[str, Any]:
        return _figures(0.1)

    _train_detector(drawn, tmp_path / "whole", 2, same)
    with pytest.raises(KeyboardInterrupt):
        _train_detector(drawn, tmp_path / "broken", 2, stop_in_the_second_epoch)
    _train_detector(drawn, tmp_path / "broken", 2, same)
    whole, broken = (load_file(tmp_path / name / "checkpoint" / "tensors.safetensors")
                     for name in ("whole", "broken"))  # fmt: skip
    assert set(whole) == set(broken)
    for name, tensor in whole.items():
        torch.testing.assert_close(broken[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def test_other_settings_do_not_go_on_with_a_begun_training(drawn: Path, tmp_path: Path) -> None:
    _train_detector(drawn, tmp_path, 1, lambda _: _figures(0.1))
    with pytest.raises(ConfigError, match="learning_rate was 0.0004, is 0.1"):
        _train_detector(drawn, tmp_path, 2, lambda _: _figures(0.1), learning_rate=0.1)


def test_a_gradient_that_is_not_finite_spoils_nothing() -> None:
    class Steep(nn.Module):
        """A loss of 0 whose gradient is infinite."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2))
            self.backbone = nn.Module()
            self.backbone.bottom_up = nn.Module()

        def forward(self, batch: list[Any]) -> dict[str, torch.Tensor]:
            return {"loss": self.weight.abs().sqrt().sum()}

    trainer = Trainer(Steep(), Recipe(), CPU)
    assert trainer.step([], 0.1) == 0.0 and trainer.skipped == 1
    assert torch.equal(trainer.model.weight, torch.zeros(2))
    assert torch.equal(trainer.average.weight, torch.zeros(2))


def test_a_batch_without_a_finite_loss_is_skipped_and_many_stop_the_training(
    drawn: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="lower --learning-rate"):
        _train_detector(drawn, tmp_path, 60, learning_rate=1e30, largest_gradient=1e30)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_detector_training_learns_resumes_and_writes_its_files(
    drawn: Path, tmp_path: Path, precision: str
) -> None:
    _train_detector(drawn, tmp_path, epochs=1, precision=precision)
    _train_detector(drawn, tmp_path, epochs=2, precision=precision)
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 2], "the second call went on, not anew"
    assert history[1]["step"] == 2 * history[0]["step"]
    assert history[1]["loss"] < history[0]["loss"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert {"photos", "bbox", "segm", "tagged_negatives", "parameters"} <= set(metrics)
    assert {"checkpoint", "detector.safetensors"} <= {path.name for path in tmp_path.iterdir()}
    load_weights(_detector(), tmp_path / "detector.safetensors")

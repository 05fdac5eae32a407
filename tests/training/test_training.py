"""Both training jobs' cores, for real, on a few drawn pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from jeans_udf.drawing import draw_dataset
from jeans_udf.models.classifier import build_classifier
from jeans_udf.models.detector import build_detector, load_weights, read_detector_config
from jeans_udf.training import classifier as classifier_training
from jeans_udf.training import detector as detector_training
from jeans_udf.training.coco import read_coco
from jeans_udf.training.crops import cut_crops, read_labels
from jeans_udf.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("conf/vocabulary.yaml")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("drawn"), 8, seed=3, negatives=0.25)


def _detector():
    cfg = read_detector_config("conf/detectors/mask_rcnn_lite0.yaml")
    torch.manual_seed(0)
    return build_detector(cfg)


def _train_detector(drawn: Path, output: Path, epochs: int) -> dict:
    photos = read_coco(
        drawn / "photos", drawn / "annotations/instances.json", VOCABULARY.categories
    )
    recipe = detector_training.Recipe(epochs=epochs, batch_size=2, warmup_steps=2)
    return detector_training.train_detector(
        _detector(), photos, photos[:3], VOCABULARY.categories,
        longest_side=64, recipe=recipe, output=output, device=CPU,
    )  # fmt: skip


def test_detector_training_learns_resumes_and_writes_its_files(drawn: Path, tmp_path: Path) -> None:
    _train_detector(drawn, tmp_path, epochs=1)
    _train_detector(drawn, tmp_path, epochs=2)
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 2], "the second call went on, not anew"
    assert history[1]["step"] == 2 * history[0]["step"]
    assert history[1]["loss"] < history[0]["loss"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert set(metrics) == {"photos", "bbox", "segm", "tagged_negatives"}
    assert {"checkpoint", "detector.safetensors"} <= {path.name for path in tmp_path.iterdir()}
    load_weights(_detector(), tmp_path / "detector.safetensors")


def test_classifier_training_learns_resumes_and_writes_its_files(
    drawn: Path, tmp_path: Path
) -> None:
    photos = read_coco(
        drawn / "photos", drawn / "annotations/instances.json", VOCABULARY.categories
    )
    labels = read_labels(drawn / "annotations/attributes.csv", VOCABULARY)
    crops = cut_crops(photos, labels, tmp_path / "crops", 64)
    assert len(crops) == len(labels) > 3
    assert all(crop.category in VOCABULARY.categories for crop in crops)
    for epochs in (1, 3):
        torch.manual_seed(0)
        model = build_classifier("tf_efficientnet_lite0", VOCABULARY)
        recipe = classifier_training.Recipe(epochs=epochs, batch_size=2)
        metrics = classifier_training.train_classifier(
            model, crops, crops[:4], VOCABULARY, recipe=recipe, output=tmp_path
        )
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert history[2]["train_loss"] < history[0]["train_loss"]
    assert set(metrics["labels"]) == set(VOCABULARY.labels)
    assert set(metrics["thresholds"]) == {"wash", "fit", "length", *VOCABULARY.labels[-8:]}
    assert (tmp_path / "classifier.safetensors").is_file()

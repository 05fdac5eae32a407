"""Training a classifier through the job, for real, on a few drawn garments."""

from __future__ import annotations

import copy
import csv
import json
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from jeans_udf.bundle import ClassifierSpec
from jeans_udf.drawing import draw_dataset
from jeans_udf.models.classifier import Classifier, build_classifier
from jeans_udf.models.mirrored import Mirrored
from jeans_udf.training.classifier import train_classifier, train_member
from jeans_udf.training.classifier_data import CropSets, make_loaders
from jeans_udf.training.classifier_recipe import ClassifierRecipe
from jeans_udf.training.crop_folder import Crop
from jeans_udf.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("conf/vocabulary.yaml")
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
TINY = {
    "about": "for tests",
    "backbone": "resnet18",
    "cut_size": 64,
    "batch_size": 4,
    "phases": [{"epochs": 2, "size": 64, "rate": 0.01}],
}
NOTEBOOK = TINY | {
    "head": "fastai",
    "loss": "binary",
    "threshold": 0.2,
    "cut_size": 96,
    "phases": [
        {"epochs": 1, "size": 32, "frozen": True, "rate": "find"},
        {"epochs": 2, "size": 48, "rate": "found", "divide": 5, "lowest": 1.0e-5},
    ],
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("drawn"), 12, seed=3, negatives=0.25)


@pytest.fixture
def crops(tmp_path: Path) -> list[Crop]:
    """Ten squares of noise, every second one brighter and short."""
    rng = np.random.default_rng(0)
    made = []
    for k in range(10):
        pixels = rng.integers(0, 100, (96, 96, 3)) + 120 * (k % 2)
        file = tmp_path / f"{k}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(file)
        category, labels = (("shorts", ("short",)), ("jeans", ("dark", "full")))[k % 2]
        made.append(Crop(file, category, labels, file.name))
    return made


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["train_classifier", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path("jobs/train_classifier.py", run_name="__main__")
        return int(stopped.value.code or 0)

    return run


def _recipe(folder: Path, values: dict) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def test_the_notebooks_way_from_pictures_and_a_labels_file(
    drawn: Path, tmp_path: Path, job: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    with (drawn / "annotations/attributes.csv").open() as lines:
        seen = {row["file_path"]: row for row in csv.DictReader(lines)}
    labels = tmp_path / "labels.csv"
    labels.write_text("file_path,label\n" + "".join(
        f"{name},{' '.join(filter(None, (row['fit'], row['length'])))}\n"
        for name, row in seen.items()
    ))  # fmt: skip
    output = tmp_path / "run"
    code = job("--recipe", _recipe(tmp_path, NOTEBOOK), "--photos", drawn / "photos",
               "--labels", labels, "--output", output)  # fmt: skip
    assert code == 0, capsys.readouterr().err
    made = {path.name for path in output.iterdir()}
    assert {
        "learning_rate_1.png", "training.png", "show_batch.png", "show_results.png",
        "top_losses.png", "labels.png", "calibration.png", "labels.md", "classifier.json",
        "metrics.json",
        "classifier.safetensors", "history.jsonl",
    } <= made  # fmt: skip
    told = json.loads((output / "metrics.json").read_text())
    rows = len(seen)
    assert told["garments"] == round(0.2 * rows), "a fifth of the photos is kept back"
    assert told["notebook"]["threshold"] == 0.2
    spec = json.loads((output / "classifier.json").read_text())
    assert ClassifierSpec(weights="x", **spec).input_size == 48
    assert spec["scores"] == "sigmoid" and not spec["verdict"]
    assert "| label |" in capsys.readouterr().out


def test_on_masks_with_negatives_and_a_verdict(
    drawn: Path, tmp_path: Path, job: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    notes, photos = drawn / "annotations", drawn / "photos"
    output = tmp_path / "run"
    sets = ["--photos", photos, "--annotations", notes / "instances.json",
            "--labels", notes / "attributes.csv"]  # fmt: skip
    both = [*sets, "--val-photos", photos, "--val-annotations", notes / "instances.json",
            "--val-labels", notes / "attributes.csv", "--output", output,
            "--recipe", _recipe(tmp_path, TINY)]  # fmt: skip
    assert job(*both) == 2
    assert "photo_in_both_splits" in capsys.readouterr().err
    # The same photos under another name are another file: nothing can tell.
    twin = tmp_path / "twin"
    twin.symlink_to(photos)
    both[both.index("--val-photos") + 1] = twin
    assert job(*both) == 0, capsys.readouterr().err
    told = json.loads((output / "metrics.json").read_text())
    assert 0 <= told["verdict"]["category_right"] <= 1
    assert set(told["calibration"]) == {"wash", "fit", "length", "details", "category", "all"}


def test_training_resumes_within_a_phase_and_refuses_another_recipe(
    crops: list[Crop], tmp_path: Path, job: Callable[..., int]
) -> None:
    sets = CropSets(crops, crops[:4], VOCABULARY, *HALVES)
    recipe = ClassifierRecipe(**TINY | {"phases": [
        {"epochs": 1, "size": 32, "frozen": True, "rate": 0.01},
        {"epochs": 3, "size": 64, "rate": 0.01},
    ]})  # fmt: skip

    def train(folder: Path) -> np.ndarray:
        torch.manual_seed(0)
        model = build_classifier("resnet18", VOCABULARY)
        return train_classifier(model, sets, recipe, folder, seed=0).logits

    class Stopped(Exception):
        pass

    from jeans_udf.training import classifier_keeper

    saved = classifier_keeper.save_checkpoint
    epochs = []

    def stop_at_the_third(*arguments: object) -> None:
        saved(*arguments)  # type: ignore[arg-type]
        epochs.append(1)
        if len(epochs) == 3:
            raise Stopped("by the test")

    classifier_keeper.save_checkpoint = stop_at_the_third  # type: ignore[assignment]
    try:
        with pytest.raises(Stopped):
            train(tmp_path / "run")
    finally:
        classifier_keeper.save_checkpoint = saved
    train(tmp_path / "run")
    lines = (tmp_path / "run/history.jsonl").read_text().splitlines()
    history = [json.loads(line) for line in lines]
    assert [(e["phase"], e["epoch"]) for e in history] == [(1, 1), (2, 1), (2, 2), (2, 3)]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    again = train(tmp_path / "run")
    assert len((tmp_path / "run/history.jsonl").read_text().splitlines()) == 4, "nothing to do"
    assert np.isfinite(again).all()
    other = recipe.model_copy(update={"smoothing": 0.1})
    with pytest.raises(Exception, match="begun with another recipe"):
        train_classifier(
            build_classifier("resnet18", VOCABULARY), sets, other, tmp_path / "run", seed=0
        )


@pytest.mark.parametrize(
    "values", [TINY, NOTEBOOK, TINY | {"mirrored": True}], ids=["groups", "notebook", "mirrored"]
)
def test_plain_torch_says_what_fastai_says(
    crops: list[Crop], tmp_path: Path, values: dict
) -> None:
    recipe = ClassifierRecipe(**values)
    sets = CropSets(crops, crops[:4], VOCABULARY, *HALVES)
    model = build_classifier(
        recipe.backbone, VOCABULARY, head=recipe.head, verdict=recipe.has_verdict
    )
    trained = train_classifier(model, sets, recipe, tmp_path / "run", seed=0)
    mean, std = HALVES
    network = Mirrored(trained.model) if recipe.mirrored else trained.model
    plain = Classifier(
        network, VOCABULARY, size=recipe.cut_size, input_size=recipe.phases[-1].size,
        mean=mean, std=std, thresholds={}, device=torch.device("cpu"),
        verdict=recipe.has_verdict, scoring="groups",
    )  # fmt: skip
    squares = [
        np.asarray(Image.open(crop.file).resize((recipe.cut_size,) * 2)) for crop in crops[:4]
    ]
    if recipe.cut_size == 96:
        np.testing.assert_allclose(plain.logits(squares).numpy(), trained.logits, atol=1e-4)
    else:
        # Crops of 96 pixels go through fastai at that size, as its recipe does not scale them.
        plain.size = plain.input_size = 96
        whole = [np.asarray(Image.open(crop.file)) for crop in crops[:4]]
        np.testing.assert_allclose(plain.logits(whole).numpy(), trained.logits, atol=1e-4)


def test_members_have_their_own_course_and_their_mean_comes_out(
    crops: list[Crop], tmp_path: Path
) -> None:
    recipe = ClassifierRecipe(**TINY | {"members": 2})
    sets = CropSets(crops, crops[:4], VOCABULARY, *HALVES)
    torch.manual_seed(0)
    model = build_classifier("resnet18", VOCABULARY)
    train_member(copy.deepcopy(model), sets, recipe, tmp_path / "run/member_2", seed=1)
    trained = train_classifier(model, sets, recipe, tmp_path / "run", seed=0)
    history = (tmp_path / "run/member_2/history.jsonl").read_text().splitlines()
    assert len(history) == 2, "the member that was trained before is not trained again"
    weights = [
        load_file(tmp_path / f"run/member_{k}/checkpoint/tensors.safetensors")["model/fc.weight"]
        for k in (1, 2)
    ]
    assert not torch.equal(*weights)
    torch.testing.assert_close(trained.model.state_dict()["fc.weight"], sum(weights) / 2)
    # Statistics are those of the mean's own activations, not the mean of two statistics.
    files = [
        load_file(tmp_path / f"run/member_{k}/checkpoint/tensors.safetensors") for k in (1, 2)
    ]
    name = "layer4.1.bn2.running_mean"
    mean = (files[0][f"model/{name}"] + files[1][f"model/{name}"]) / 2
    assert (trained.model.state_dict()[name] - mean).abs().max() > 1e-4


def test_half_of_the_training_crops_are_seen_in_another_view(
    crops: list[Crop], tmp_path: Path
) -> None:
    black = tmp_path / "black.png"
    Image.new("RGB", (96, 96)).save(black)
    crops = [replace(crop, others=(black,)) for crop in crops]
    recipe = ClassifierRecipe(**TINY | {"batch_size": 6, "augment": {"max_lighting": 0.0}})
    # Apart: a crop that judges is never seen in another view.
    loaders = make_loaders(CropSets(crops[4:], crops[:4], VOCABULARY, *HALVES), recipe, 64)
    assert (loaders.valid.one_batch()[0].amax((1, 2, 3)) > -0.9).all(), "as the job will see it"
    seen = [loaders.train.one_batch()[0].amax((1, 2, 3)) < -0.99 for _ in range(20)]
    assert 0.3 < torch.cat(seen).float().mean() < 0.7


def test_fewer_crops_than_a_batch_are_one_batch(crops: list[Crop]) -> None:
    recipe = ClassifierRecipe(**TINY | {"batch_size": 64})
    loaders = make_loaders(CropSets(crops[:3], crops[:2], VOCABULARY, *HALVES), recipe, 64)
    assert len(loaders.train) == 1 and len(loaders.train.one_batch()[0]) == 3


def test_training_batches_are_augmented_and_validation_ones_are_not(crops: list[Crop]) -> None:
    recipe = ClassifierRecipe(**TINY)
    sets = CropSets(crops, crops[:4], VOCABULARY, *HALVES)
    loaders = make_loaders(sets, recipe, 64)
    first, second = (loaders.valid.one_batch()[0] for _ in range(2))
    assert torch.equal(first, second)
    pixels = torch.from_numpy(np.asarray(Image.open(crops[0].file))).permute(2, 0, 1) / 255
    torch.testing.assert_close(first[0].as_subclass(torch.Tensor), (pixels - 0.5) / 0.5)
    batch = loaders.train.one_batch()[0]
    originals = [(np.asarray(Image.open(c.file)) / 255 - 0.5) / 0.5 for c in crops]
    closest = min(
        float(np.abs(batch[0].permute(1, 2, 0).numpy() - each).max()) for each in originals
    )
    assert closest > 1e-3


def test_a_checkpoint_holds_no_pickle(crops: list[Crop], tmp_path: Path) -> None:
    recipe = ClassifierRecipe(**TINY)
    sets = CropSets(crops, crops[:2], VOCABULARY, *HALVES)
    train_classifier(build_classifier("resnet18", VOCABULARY), sets, recipe, tmp_path / "run")
    files = {path.suffix for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert files <= {".safetensors", ".json", ".jsonl"}
    assert load_file(tmp_path / "run/checkpoint/tensors.safetensors")

"""Learners that fastai itself made and wrote, and v1's layout by its documented head, imported.

The networks have random weights, and their batch norms saw a few drawn pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from fastai.callback.tracker import SaveModelCallback
from fastai.data.block import CategoryBlock, DataBlock, MultiCategoryBlock
from fastai.data.transforms import IndexSplitter, Normalize, get_image_files
from fastai.layers import AdaptiveConcatPool2d, Flatten
from fastai.learner import Learner
from fastai.metrics import accuracy_multi
from fastai.vision.augment import RandomResizedCrop, Resize, aug_transforms
from fastai.vision.core import imagenet_stats
from fastai.vision.data import ImageBlock
from fastai.vision.learner import vision_learner
from fasttransform import Transform
from PIL import Image
from torch import nn
from torchvision.models import resnet18, resnet34

from jeans_udf.bundle import open_bundle
from jeans_udf.engines.plain import TorchEngine
from jeans_udf.loading import load_classifier
from jeans_udf.models.classifier import Classifier, build_classifier
from jeans_udf.models.detector_config import load_weights
from jeans_udf.models.views import fit_square
from jeans_udf.training.assemble import classifier_of_run
from jeans_udf.training.learner_labels import new_vocabulary
from jeans_udf.vocabulary import load_vocabulary, parse_vocabulary
from jobs import import_learner

LABELS = ("541 Athletic", "dark", "skinny")
SIZE = 64


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight squares of 64 pixels: what the network sees does not depend on how they are resized."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(8):
        coarse = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIZE, SIZE)).save(folder / f"{number}.png")
    return folder


def _several(file: Path) -> list:  # fastai takes no list[str]
    return [LABELS[int(file.stem) % 3], LABELS[int(file.stem) % 2]]


def _learner(pictures: Path, folder: Path, arch: Any, **options: Any) -> Learner:
    """A learner of ``arch`` with random weights, by fastai's own means."""
    block = options.pop("block", None) or MultiCategoryBlock()
    item_tfms = options.pop("item_tfms", None) or Resize(SIZE, method="pad", pad_mode="zeros")
    statistics = options.pop("statistics", imagenet_stats)
    loaders = DataBlock(
        blocks=(ImageBlock, block),
        get_items=get_image_files,
        get_y=options.pop("get_y", _several),
        splitter=IndexSplitter([0, 1]),
        item_tfms=item_tfms,
        batch_tfms=[
            # So strong that they could not leak in unseen.
            *aug_transforms(flip_vert=True, max_lighting=0.6, p_affine=1.0, p_lighting=1.0),
            *([Normalize.from_stats(*statistics, cuda=False)] if statistics else []),
        ],
    ).dataloaders(pictures, bs=4, num_workers=0, device="cpu")
    torch.manual_seed(0)
    learner = vision_learner(loaders, arch, pretrained=False, path=folder, **options)
    learner.create_opt()
    _settle(learner.model, loaders.test_dl(get_image_files(pictures).sorted(), bs=8))
    return learner


def _settle(model: nn.Module, loader: Any) -> None:
    """Let the batch norms see pictures, and give the head's all of their numbers."""
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)):
        # timm's residual branches begin at 0, which would hide most of the body.
        if isinstance(norm, nn.BatchNorm1d) or not norm.weight.any():
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
    model.train()
    with torch.no_grad():
        model(torch.as_tensor(loader.one_batch()[0]))
    model.eval()


def _theirs(learner: Learner, pictures: Path) -> np.ndarray:
    files = sorted(pictures.iterdir())
    with learner.no_bar(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores, _ = learner.get_preds(dl=learner.dls.test_dl(files))
    return scores.numpy()


def _export(learner: Learner, folder: Path, name: str = "export.pkl") -> Path:
    learner.path = folder
    learner.export(name)
    return folder / name


def _import(file: Path, output: Path, *options: str, code: int = 0) -> Path:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    arguments = ["--learner", file, "--allow-pickle", "--sha256", digest, "--output", output]
    assert import_learner.main([*map(str, arguments), *options]) == code
    return output


def _classifier(run: Path) -> Classifier:
    """What the tagging job makes of the run's files."""
    spec = classifier_of_run(run).spec
    vocabulary = load_vocabulary(run / "vocabulary.yaml")
    model = build_classifier(
        spec["backbone"], vocabulary, head=spec["head"], verdict=spec["verdict"]
    )
    load_weights(model, run / "classifier.safetensors")
    return Classifier(
        model, vocabulary, size=spec["size"], mean=spec["mean"], std=spec["std"],
        thresholds=spec["thresholds"], device=torch.device("cpu"), verdict=spec["verdict"],
        scoring=spec["scores"],
    )  # fmt: skip


def _ours(run: Path, pictures: Path) -> np.ndarray:
    classifier = _classifier(run)
    seen = [np.asarray(Image.open(f).convert("RGB")) for f in sorted(pictures.iterdir())]
    return classifier.scores([fit_square(picture, classifier.size) for picture in seen])


@pytest.fixture(scope="module")
def plain(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Learner, Path]:
    """A resnet18's learner and its export."""
    folder = tmp_path_factory.mktemp("plain")
    learner = _learner(pictures, folder, resnet18, metrics=accuracy_multi)
    return learner, _export(learner, folder)


@pytest.mark.parametrize(
    ("arch", "options"),
    [
        (resnet18, {}),
        (resnet34, {"statistics": None}),
        ("resnet10t", {"statistics": ([0.5] * 3, [0.25, 0.5, 1.0])}),
        ("tf_efficientnet_lite0", {}),
        # Has no map to pool; its pictures are of 160 pixels.
        ("test_vit", {"item_tfms": Resize(160, method="squish")}),
    ],
)
def test_an_export_scores_as_fastai_does(
    pictures: Path, tmp_path: Path, arch: Any, options: dict[str, Any]
) -> None:
    learner = _learner(pictures, tmp_path, arch, **options)
    run = _import(_export(learner, tmp_path), tmp_path / "run")
    theirs = _theirs(learner, pictures)
    assert theirs.std(0).min() > 0.002, "pictures that all score alike would prove nothing"
    np.testing.assert_allclose(_ours(run, pictures), theirs, atol=1e-4)
    assert classifier_of_run(run).spec["scores"] == "sigmoid"


def test_fastai_is_not_needed() -> None:
    code = "import sys, jobs.import_learner; print([m for m in sys.modules if 'fastai' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "['jeans_udf.models.fastai_head']", done.stderr[-300:]


def test_what_cannot_be_mapped_is_told(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learner = _learner(
        pictures, tmp_path, resnet18, metrics=accuracy_multi, cbs=SaveModelCallback(),
        item_tfms=RandomResizedCrop(SIZE),
    )  # fmt: skip
    learner.dls.add_tfms([_Unknown()], "after_batch")
    run = _import(_export(learner, tmp_path), tmp_path / "run")
    told = json.loads((run / "import.json").read_text())
    assert {
        "body: 120 tensors, timm's resnet18", "head: 12 tensors, fastai's default",
        "label '541 Athletic' is 541_athletic", "pictures of 64 x 64 pixels",
        "Normalize: mean 0.485 0.456 0.406, deviation 0.229 0.224 0.225",
        "Dihedral: of training alone, left out",
    } <= set(told["mapped"])  # fmt: skip
    assert {
        "loss function BCEWithLogitsLossFlat", "optimizer Adam", "metric accuracy_multi",
        "callback SaveModelCallback", "_Unknown: unknown transform, left out",
        "RandomResizedCrop: the picture was scaled, and its edges cut off; the job pads with grey",
    } <= set(told["unmapped"])  # fmt: skip
    printed = capsys.readouterr().out
    assert all(f"    {line}\n" in printed for line in told["mapped"] + told["unmapped"])


def test_labels_come_in_the_vocabularys_order_and_groups(
    plain: tuple[Learner, Path], pictures: Path, tmp_path: Path
) -> None:
    learner, file = plain
    vocabulary = tmp_path / "vocabulary.yaml"
    vocabulary.write_text(
        "categories: [jeans]\ngroups:\n  kind: {exclusive: true, labels: [skinny, 541_athletic]}\n"
        "  details: {exclusive: false, labels: [dark]}\n"
    )
    run = _import(file, tmp_path / "run", "--vocabulary", str(vocabulary), "--threshold", "0.2")
    # fastai sorts: '541 Athletic', dark, skinny.
    np.testing.assert_allclose(
        _ours(run, pictures), _theirs(learner, pictures)[:, [2, 0, 1]], atol=1e-4
    )
    assert classifier_of_run(run).spec["thresholds"] == {"kind": 0.2, "dark": 0.2}
    assert load_vocabulary(run / "vocabulary.yaml") == load_vocabulary(vocabulary)


def test_one_label_a_picture_is_a_softmax(pictures: Path, tmp_path: Path) -> None:
    learner = _learner(
        pictures, tmp_path, resnet18, block=CategoryBlock(), get_y=lambda f: _several(f)[0]
    )
    run = _import(_export(learner, tmp_path), tmp_path / "run")
    np.testing.assert_allclose(_ours(run, pictures), _theirs(learner, pictures), atol=1e-4)
    assert _ours(run, pictures).sum(1) == pytest.approx(1.0)
    assert load_vocabulary(run / "vocabulary.yaml").group("label").exclusive


@pytest.mark.parametrize("one_label", [True, False])
def test_a_written_vocabulary_can_be_read_whatever_the_labels_are_called(one_label: bool) -> None:
    """One named as the exclusive group, three without a letter of ours, and one twice."""
    labels = ["label", "ジーンズ", "???", "", "details", "Dark", "dark!", "label 2"]
    found = new_vocabulary(labels, ("jeans", "shorts"), one_label=one_label)
    assert parse_vocabulary(found.vocabulary.as_dict(), "the test") == found.vocabulary
    first = ["label_2", "label_3", "label_4", "label_5"]
    if not one_label:
        first = ["label", *first[:3]]
    last = "label_2_2"
    assert found.vocabulary.labels == (*first, "details", "dark", "dark_2", last)
    assert found.order == tuple(range(8))
    assert found.renamed["ジーンズ"] == first[1] and ("label" in found.renamed) == one_label


@pytest.mark.parametrize("newer", [True, False])
def test_a_saved_learner_of_v2_with_its_optimizer(
    pictures: Path, tmp_path: Path, newer: bool
) -> None:
    learner = _learner(pictures, tmp_path, resnet18)
    with learner.no_bar(), learner.no_logging(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learner.fit(1)
    file = learner.save("stage", _use_new_zipfile_serialization=newer)
    run = _import(
        file, tmp_path / "run", "--labels", ",".join(LABELS), "--size", str(SIZE)
    )
    np.testing.assert_allclose(_ours(run, pictures), _theirs(learner, pictures), atol=1e-4)
    told = json.loads((run / "import.json").read_text())
    assert "entry 'opt': of the training alone" in told["unmapped"]


def _v1_model(arch: Any, outputs: int) -> nn.Sequential:
    """fastai v1's ``cnn_learner``, by its documentation: linear layers have biases."""
    body = nn.Sequential(*list(arch(weights=None).children())[:-2])
    width = 2 * (512 if arch in (resnet18, resnet34) else 2048)
    head = nn.Sequential(
        AdaptiveConcatPool2d(), Flatten(),
        nn.BatchNorm1d(width), nn.Dropout(0.25), nn.Linear(width, 512), nn.ReLU(inplace=True),
        nn.BatchNorm1d(512), nn.Dropout(0.5), nn.Linear(512, outputs),
    )  # fmt: skip
    return nn.Sequential(body, head)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("kind", ["with optimizer", "bare", "parallel"])
def test_v1s_layout(pictures: Path, tmp_path: Path, depth: int, kind: str) -> None:
    torch.manual_seed(depth)
    model = _v1_model(getattr(torchvision.models, f"resnet{depth}"), 5)
    pixels = torch.stack([
        torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255
        for file in sorted(pictures.iterdir())
    ])  # fmt: skip
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in imagenet_stats)
    with torch.no_grad():
        model.train()(pixels)
        theirs = torch.sigmoid(model.eval()((pixels - mean) / std)).numpy()
    assert theirs.std(0).min() > 0.002
    state = model.state_dict()
    optimizer = torch.optim.Adam(model.parameters()).state_dict()
    content: dict[str, Any] = {
        "with optimizer": {"model": state, "opt": optimizer},
        "bare": state,
        "parallel": {f"module.{name}": tensor for name, tensor in state.items()},
    }
    torch.save(content[kind], tmp_path / "stage.pth", _use_new_zipfile_serialization=False)
    labels = tmp_path / "labels.txt"
    labels.write_text("501\n541 athletic taper\nflare\nskinny\nslim\n")
    run = _import(
        tmp_path / "stage.pth", tmp_path / "run", "--labels", str(labels), "--size", str(SIZE)
    )
    np.testing.assert_allclose(_ours(run, pictures), theirs, atol=1e-4)
    assert classifier_of_run(run).spec["backbone"] == f"resnet{depth}"
    assert load_vocabulary(run / "vocabulary.yaml").labels == (
        "501", "541_athletic_taper", "flare", "skinny", "slim"
    )  # fmt: skip


def test_a_bundle_at_once(
    plain: tuple[Learner, Path], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learner, file = plain
    shipped = open_bundle("default")
    vocabulary = tmp_path / "vocabulary.yaml"
    vocabulary.write_text(
        f"categories: [{', '.join(shipped.vocabulary.categories)}]\n"
        "groups: {kind: {exclusive: true, labels: [541_athletic, dark, skinny]}}\n"
    )
    _import(
        file, tmp_path / "run", "--vocabulary", str(vocabulary), "--bundle", str(tmp_path / "mine")
    )
    bundle = open_bundle(f"{tmp_path / 'mine'}/")
    cpu = torch.device("cpu")
    classifier = load_classifier(bundle, cpu, TorchEngine(cpu))
    squares = [np.asarray(Image.open(f)) for f in sorted(pictures.iterdir())]
    np.testing.assert_allclose(
        classifier.scores(squares), _theirs(learner, pictures), atol=1e-4
    )
    (judged,) = classifier.judge(squares[:1])
    assert judged.verdict is None
    assert bundle.manifest.detector == shipped.manifest.detector
    assert "expect more tagged" in capsys.readouterr().out


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a body of torchvision that is no ResNet": (
        {"arch": torchvision.models.squeezenet1_1},
        r"the file says 'torchvision.models.squeezenet.squeezenet1_1'\) is none that can",
    ),
    "another head": (
        {"lin_first": True}, "head: the learner's is AdaptiveConcatPool2d, Linear, ReLU",
    ),
    "another width": (
        {"lin_ftrs": [64]}, r"head: .* linear1.bias is \(64,\) in the learner, wanted \(512,\)",
    ),
    "bounded outputs": ({"y_range": (0, 1)}, "Linear, SigmoidRange; wanted"),
    "pooling by average": ({"concat_pool": False}, "head: the learner's is AdaptiveAvgPool2d"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_a_network_that_is_not_known_is_refused(
    pictures: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options, message = REFUSED[kind]
    learner = _learner(pictures, tmp_path, **{"arch": resnet18} | options)
    _fails(capsys, _export(learner, tmp_path), tmp_path, message=message)


def _fails(
    capsys: pytest.CaptureFixture[str], file: Path, folder: Path, *options: str, message: str
) -> None:
    _import(file, folder / "refused", *options, code=2)
    error = capsys.readouterr().err
    assert error.startswith("import_learner: ") and error.count("\n") == 1, error
    assert re.search(message, error), error
    assert not (folder / "refused").exists()


def test_options_that_do_not_fit_are_told(
    plain: tuple[Learner, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    learner, file = plain
    vocabulary = tmp_path / "v.yaml"
    vocabulary.write_text(
        "categories: [jeans]\ngroups: {details: {exclusive: false, labels: [dark, cuffed]}}\n"
    )
    for options, message in [
        (["--vocabulary", str(vocabulary)],
         r"learner has '541 Athletic', 'skinny' that the vocabulary lacks and lacks 'cuffed' of"),
        (["--labels", "a,b,c"], "names others, or another order: '541 Athletic'"),
        (["--backbone", "resnet34"], "body: the learner's does not fit resnet34"),
        (["--backbone", "hf-hub:a/b"], "no such network in timm"),
        (["--threshold", "2"], "--threshold: got 2.0"),
        (["--size", "3"], "--size: got 3"),
        (["--bundle", str(tmp_path)], "--bundle .* exists"),
        (["--bundle", str(tmp_path), "--overwrite"], "exists and is no bundle"),
        (["--bundle", str(tmp_path / "b"), "--bundle-from", "none"], "no such bundle"),
    ]:  # fmt: skip
        _fails(capsys, file, tmp_path, *options, message=message)
    state = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    saved = tmp_path / "saved.pth"
    torch.save(state, saved)
    _fails(capsys, saved, tmp_path, message="does not name its labels; give them with --labels")
    _fails(capsys, saved, tmp_path, "--labels", "a,b,c", message="give --size")
    known = ["--size", "64", "--labels"]
    _fails(capsys, saved, tmp_path, *known, "a,b", message="3 outputs, wanted one for each of")
    _fails(capsys, saved, tmp_path, *known, " , ", message="names none")
    state["0.0.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, saved)
    _fails(capsys, saved, tmp_path, *known, "a,b,c", message="body: 1 tensors hold infinite")
    del state["0.0.weight"]
    torch.save(state, saved)
    _fails(capsys, saved, tmp_path, *known, "a,b,c", message="is none that can be imported")
    timm_names = {n.replace("0.", "0.model.", 1) if n[0] == "0" else n: t for n, t in state.items()}
    torch.save(timm_names, saved)
    _fails(capsys, saved, tmp_path, *known, "a,b,c", message="does not tell which; give --backbone")


def test_nothing_is_opened_without_flag_and_digest(
    plain: tuple[Learner, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("jeans_udf.training.learner_file.read_archive", fail)
    monkeypatch.setattr(torch, "load", fail)
    file = str(plain[1])
    digest = hashlib.sha256(plain[1].read_bytes()).hexdigest()
    source = ["--learner", file, "--output", str(tmp_path / "run")]
    for options, message in [
        (["--sha256", digest], "Give --allow-pickle"),
        (["--allow-pickle"], f"need --sha256; nothing was opened. It is {digest}"),
        (["--allow-pickle", "--sha256", "0" * 64], "nothing was opened. Get the file again"),
    ]:
        assert import_learner.main([*source, *options]) == 2
        assert message in capsys.readouterr().err
    assert import_learner.main(["--learner", "x.onnx", "--output", str(tmp_path / "run")]) == 2
    assert "wanted a file ending in one of .pth, .pt, .pkl" in capsys.readouterr().err


class _Unknown(Transform):
    """A transform that fastai does not know."""


class _Evil:
    """Runs a command when it is opened as pickles usually are."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize("ending", ["pkl", "pth"])
def test_a_hostile_learner_runs_nothing(
    plain: tuple[Learner, Path], tmp_path: Path, newer: bool, ending: str
) -> None:
    marker = tmp_path / "marker"
    state = dict(plain[0].model.state_dict())
    content = {"model": state, "opt": _Evil(f"touch {marker}"), 3: None}
    file = tmp_path / f"learner.{ending}"
    torch.save(content, file, _use_new_zipfile_serialization=newer)
    # The weights are whole, and what the rest would do is not done.
    run = _import(file, tmp_path / "run", "--labels", ",".join(LABELS), "--size", str(SIZE))
    assert (run / "classifier.safetensors").is_file() and not marker.exists()
    torch.load(file, weights_only=False)
    assert marker.exists(), "or this test could not fail"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds no model"),
        ({"a": 1}, "holds no tensor"),
        ({"model": _Evil("true")}, "holds a model without tensors"),
        (_Evil("true"), "holds no model"),
    ],
)
def test_files_without_a_model_are_told(
    tmp_path: Path, content: Any, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / "learner.pkl")
    _fails(capsys, tmp_path / "learner.pkl", tmp_path, message=message)


class _Loop(nn.Module):
    """Holds itself; saving it takes no time, walking it would take for ever."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._modules[name] = self


@pytest.mark.parametrize(("name", "message"), [("a", "a name of over"), ("b" * 400, "a name of")])
def test_a_model_without_end_is_told(
    tmp_path: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"model": _Loop(name)}, tmp_path / "learner.pkl")
    _fails(capsys, tmp_path / "learner.pkl", tmp_path, message=message)

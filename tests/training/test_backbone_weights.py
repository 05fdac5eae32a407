from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.models.classifier import build_classifier
from jeans_udf.models.fastai_head import FastaiNet
from jeans_udf.training.backbone_weights import load_backbone, statistics
from jeans_udf.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("conf/vocabulary.yaml")
BACKBONES = {"resnet18": "fc.", "tf_efficientnet_lite0": "classifier.", "test_vit": "head."}
"""And how the names of its last layer begin."""


def _save(model: nn.Module | dict[str, torch.Tensor], file: Path) -> Path:
    tensors = model.state_dict() if isinstance(model, nn.Module) else model
    save_file({name: value.contiguous() for name, value in tensors.items()}, file)
    return file


def _pretrained(backbone: str) -> nn.Module:
    """As timm publishes it: of 1000 classes; every tensor differs from a fresh one's."""
    torch.manual_seed(1)
    model: nn.Module = timm.create_model(backbone, num_classes=1000)
    with torch.no_grad():
        for value in model.state_dict().values():
            value.copy_(torch.rand(value.shape) * 9 + 1)
    return model


@pytest.mark.parametrize("head", ["linear", "fastai"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_all_but_the_last_layer_is_filled(tmp_path: Path, backbone: str, head: str) -> None:
    theirs = _pretrained(backbone)
    model = build_classifier(backbone, VOCABULARY, head=head)  # type: ignore[arg-type]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count = load_backbone(model, _save(theirs, tmp_path / "w.safetensors"))
    prefix, own = ("body.", "head.") if head == "fastai" else ("", BACKBONES[backbone])
    for name, value in model.state_dict().items():
        if name.startswith(own):
            assert torch.equal(value, before[name]), f"{name} is no part of the backbone"
        else:
            assert torch.equal(value, theirs.state_dict()[name.removeprefix(prefix)]), name
    assert count == sum(not name.startswith(own) for name in before)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_body_goes_below_another_head(tmp_path: Path, backbone: str) -> None:
    """From a classifier with fastai's head to one with a linear one, and back."""
    deep = build_classifier(backbone, VOCABULARY, head="fastai")
    flat = build_classifier(backbone, VOCABULARY)
    load_backbone(flat, _save(deep, tmp_path / "deep.safetensors"))
    pictures = torch.rand(1, 3, 160, 160)
    theirs, ours = deep.body.eval(), flat.eval()
    torch.testing.assert_close(ours.forward_features(pictures), theirs.forward_features(pictures))
    again = FastaiNet(backbone, 3)
    load_backbone(again, _save(flat, tmp_path / "flat.safetensors"))
    torch.testing.assert_close(
        again.body.eval().forward_features(pictures), theirs.forward_features(pictures)
    )


@pytest.mark.parametrize("head", ["linear", "fastai"])
def test_a_head_that_fits_is_taken_too(tmp_path: Path, head: str) -> None:
    theirs, ours = (
        build_classifier("resnet18", VOCABULARY, head=head)  # type: ignore[arg-type]
        for _ in range(2)
    )
    count = load_backbone(ours, _save(theirs, tmp_path / "w.safetensors"))
    assert count == len(theirs.state_dict())
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name


def test_half_precision_is_widened(tmp_path: Path) -> None:
    theirs = _pretrained("resnet18").state_dict()
    halved = {k: v.half() if v.is_floating_point() else v for k, v in theirs.items()}
    model = build_classifier("resnet18", VOCABULARY)
    load_backbone(model, _save(halved, tmp_path / "w.safetensors"))
    found = model.state_dict()["layer1.0.conv1.weight"]
    assert found.dtype == torch.float32
    assert torch.equal(found, theirs["layer1.0.conv1.weight"].half().float())
    assert model.state_dict()["bn1.num_batches_tracked"].dtype == torch.int64


@pytest.mark.parametrize(
    ("given", "wanted", "lacking"),
    [
        ("resnet18", "resnet34", "layer1.2.conv1.weight"),
        ("resnet18", "tf_efficientnet_lite0", "conv_stem.weight"),
        ("test_vit", "resnet18", "conv1.weight"),
    ],
)
@pytest.mark.parametrize("head", ["linear", "fastai"])
def test_another_backbone_is_named(
    tmp_path: Path, given: str, wanted: str, lacking: str, head: str
) -> None:
    file = _save(timm.create_model(given), tmp_path / "w.safetensors")
    model = build_classifier(wanted, VOCABULARY, head=head)  # type: ignore[arg-type]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ConfigError, match=rf"weights .*w\.safetensors: \d+ tensors .*{lacking}"):
        load_backbone(model, file)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_tensor_of_another_shape_is_lacking(tmp_path: Path) -> None:
    tensors = timm.create_model("resnet18").state_dict()
    tensors["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    model = build_classifier("resnet18", VOCABULARY)
    with pytest.raises(ConfigError, match="1 tensors of the backbone .*: conv1.weight;"):
        load_backbone(model, _save(tensors, tmp_path / "w.safetensors"))


def test_older_files_lack_the_count_of_batches(tmp_path: Path) -> None:
    tensors = {
        name: value for name, value in timm.create_model("resnet18").state_dict().items()
        if not name.endswith("num_batches_tracked")
    }  # fmt: skip
    model = build_classifier("resnet18", VOCABULARY)
    assert load_backbone(model, _save(tensors, tmp_path / "w.safetensors")) == 20 + 20 * 4
    assert torch.equal(model.state_dict()["conv1.weight"], tensors["conv1.weight"])


def test_a_network_of_two_last_layers_keeps_both(tmp_path: Path) -> None:
    name = "deit_tiny_distilled_patch16_224"
    file = _save(timm.create_model(name), tmp_path / "w.safetensors")
    model = build_classifier(name, VOCABULARY)
    # Two layers of a weight and a bias each are not in the file's shape.
    assert load_backbone(model, file) == len(model.state_dict()) - 4


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, b"cos\nsystem\n(S'true'\ntR.", None])
def test_what_is_no_safetensors_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "w.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"w\.safetensors"):
        load_backbone(build_classifier("resnet18", VOCABULARY), file)


def test_statistics_are_those_that_the_backbone_was_pretrained_with() -> None:
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert statistics("resnet50") == imagenet
    assert statistics("tf_efficientnet_lite0") == ((0.5,) * 3, (0.5,) * 3)
    assert statistics("vit_tiny_patch16_224") == ((0.5,) * 3, (0.5,) * 3)

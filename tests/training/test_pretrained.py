"""Pretrained weights: files as Detectron2's zoo, Caffe2, PyTorch and timm write them.

The detectors are an R50-FPN and a timm one with few channels; their weights are random numbers.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import yaml
from detectron2 import model_zoo
from detectron2.checkpoint.c2_model_loading import align_and_update_state_dicts
from safetensors.torch import load_file, save_file

from jeans_udf.errors import ConfigError
from jeans_udf.models.detector_config import (
    build_detector,
    read_detector_config,
    set_categories,
)
from jeans_udf.training.pretrained import load_pretrained, match_weights
from jeans_udf.training.weight_files import Weights, read_weights
from jobs import import_weights

R50 = """
VERSION: 2
MODEL:
  META_ARCHITECTURE: GeneralizedRCNN
  WEIGHTS: ""
  MASK_ON: true
  BACKBONE: {NAME: build_resnet_fpn_backbone}
  RESNETS:
    DEPTH: %(depth)d
    STEM_OUT_CHANNELS: 8
    RES2_OUT_CHANNELS: 16
    WIDTH_PER_GROUP: 4
    OUT_FEATURES: [res2, res3, res4, res5]
  FPN: {IN_FEATURES: [res2, res3, res4, res5], OUT_CHANNELS: %(width)d}
  ANCHOR_GENERATOR: {SIZES: [[32], [64], [128], [256], [512]], ASPECT_RATIOS: [%(ratios)s]}
  RPN: {IN_FEATURES: [p2, p3, p4, p5, p6]}
  ROI_HEADS: {NAME: StandardROIHeads, IN_FEATURES: [p2, p3, p4, p5], NUM_CLASSES: %(classes)d}
  ROI_BOX_HEAD: {NAME: FastRCNNConvFCHead, NUM_FC: 2, FC_DIM: 16, POOLER_RESOLUTION: 7}
  ROI_MASK_HEAD: {NAME: MaskRCNNConvUpsampleHead, NUM_CONV: 2, CONV_DIM: 8}
"""

CATEGORY_HEADS = {
    f"roi_heads.{layer}.{kind}"
    for layer in ("box_predictor.cls_score", "box_predictor.bbox_pred", "mask_head.predictor")
    for kind in ("weight", "bias")
}
ANCHOR_HEADS = {
    f"proposal_generator.rpn_head.{layer}.{kind}"
    for layer in ("objectness_logits", "anchor_deltas")
    for kind in ("weight", "bias")
}


def _config(folder: Path, name: str = "r50", **changes: Any) -> Path:
    values = {"depth": 50, "width": 8, "classes": 5, "ratios": "[0.5, 1.0, 2.0]"}
    file = folder / f"{name}.yaml"
    file.write_text(R50 % {**values, **changes})
    return file


def _detector(file: Path | str, backbone: Path | None = None) -> Any:
    torch.manual_seed(0)
    return build_detector(read_detector_config(file, backbone))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Weights of a detector of 80 categories, by Detectron2's names."""
    model = _detector(_config(tmp_path_factory.mktemp("zoo"), classes=80))
    rng = np.random.default_rng(5)
    return {
        name: rng.normal(size=tuple(tensor.shape)).astype(np.float32)
        for name, tensor in model.state_dict().items()
    }


def _caffe2_name(name: str) -> str:
    """The name that Caffe2's Detectron gave to a tensor of an R50-FPN detector."""
    layer, kind = name.rsplit(".", 1)
    kind = {"weight": "w", "bias": "b"}.get(kind, kind)
    norm = {"w": "bn_s", "b": "bn_b", "running_mean": "bn_running_mean",
            "running_var": "bn_running_var"}  # fmt: skip
    if layer == "backbone.bottom_up.stem.conv1.norm":
        return f"res_conv1_{norm[kind]}"
    if layer == "backbone.bottom_up.stem.conv1":
        return f"conv1_{kind}"
    if layer.startswith("backbone.bottom_up."):
        stage, block, branch, *is_norm = layer.split(".")[2:]
        branch = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b",
                  "conv3": "branch2c"}[branch]  # fmt: skip
        return f"{stage}_{block}_{branch}_{norm[kind] if is_norm else kind}"
    others = {
        **{f"backbone.fpn_output{i}": f"fpn_res{i}_{b}_sum"
           for i, b in ((2, 2), (3, 3), (4, 5), (5, 2))},
        **{f"backbone.fpn_lateral{i}": f"fpn_inner_res{i}_{b}_sum_lateral"
           for i, b in ((2, 2), (3, 3), (4, 5))},
        "backbone.fpn_lateral5": "fpn_inner_res5_2_sum",
        "proposal_generator.rpn_head.conv": "conv_rpn_fpn2",
        "proposal_generator.rpn_head.objectness_logits": "rpn_cls_logits_fpn2",
        "proposal_generator.rpn_head.anchor_deltas": "rpn_bbox_pred_fpn2",
        "roi_heads.box_head.fc1": "fc6",
        "roi_heads.box_head.fc2": "fc7",
        "roi_heads.box_predictor.cls_score": "cls_score",
        "roi_heads.box_predictor.bbox_pred": "bbox_pred",
        "roi_heads.mask_head.mask_fcn1": "_[mask]_fcn1",
        "roi_heads.mask_head.mask_fcn2": "_[mask]_fcn2",
        "roi_heads.mask_head.deconv": "conv5_mask",
        "roi_heads.mask_head.predictor": "mask_fcn_logits",
    }  # fmt: skip
    return f"{others[layer]}_{kind}"


def _save(file: Path, content: Any) -> list[str]:
    """Write a .pkl or .pth; the arguments of the job that open it."""
    if file.suffix == ".pkl":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return ["--weights", str(file), "--allow-pickle", "--sha256", digest]


def _import(folder: Path, source: list[str], config: Path, *more: str) -> tuple[dict, dict]:
    """Tensors and report that the job wrote."""
    output = folder / "out" / "imported"
    model = ["--config", str(config), "--backbone", "none"]
    assert import_weights.main([*source, *model, "--output", str(output), *more]) == 0
    return load_file(f"{output}.safetensors"), json.loads(Path(f"{output}.json").read_text())


def test_a_zoo_file_fills_all_but_the_category_heads(
    tmp_path: Path, zoo: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    extra = {"pixel_mean": np.zeros((3, 1, 1), np.float32)}
    source = _save(tmp_path / "model_final.pkl", {"model": zoo | extra, "__author__": "Zoo"})
    config = _config(tmp_path)
    written, report = _import(tmp_path, source, config)
    assert set(written) == set(zoo) - CATEGORY_HEADS
    for name, tensor in written.items():
        np.testing.assert_array_equal(tensor.numpy(), zoo[name])
    assert report["source"] == "model_final.pkl" and report["sha256"] == source[-1]
    assert report["config"] == str(config) and report["backbone"] == "none"
    assert report["bgr"] is False
    assert {entry["name"]: entry["source"] for entry in report["matched"]} == {
        name: name for name in written
    }
    shapes = {e["name"]: (e["source_shape"], e["model_shape"]) for e in report["reinitialised"]}
    assert set(shapes) == CATEGORY_HEADS
    assert shapes["roi_heads.box_predictor.cls_score.weight"] == ([81, 16], [6, 16])
    assert report["missing"] == [] and report["unused"] == ["pixel_mean"]
    told = capsys.readouterr().out
    assert f"matched        {len(written):5d} of the model's {len(zoo)} tensors" in told
    assert "roi_heads.box_predictor.cls_score.weight  (81, 16) in the file, (6, 16) in" in told
    assert "unused             1" in told and "note:" not in told


@pytest.mark.parametrize(
    ("config", "published", "heads"),
    [
        ("mask_rcnn", "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x", CATEGORY_HEADS),
        ("retinanet", "COCO-Detection/retinanet_R_50_FPN_3x",
         {"head.cls_score.weight", "head.cls_score.bias"}),
        ("rpn", "COCO-Detection/rpn_R_50_FPN_1x", set()),
    ],
)  # fmt: skip
def test_our_configs_take_what_detectron2_publishes(
    config: str, published: str, heads: set[str]
) -> None:
    """With the zoo's own configs, on the meta device: only names and shapes matter."""
    theirs = model_zoo.get_config(f"{published}.yaml")
    cfg = read_detector_config(f"conf/detectors/{config}.yaml", "r50_fpn")
    set_categories(cfg, 5)
    theirs.MODEL.DEVICE = cfg.MODEL.DEVICE = "meta"
    with torch.device("meta"):
        model, zoo = build_detector(cfg), build_detector(theirs)
    weights = Weights({name: torch.zeros(t.shape) for name, t in zoo.state_dict().items()})
    match = match_weights(model, weights, Path(published))
    assert set(match.differing) == heads and not match.unused and not match.unexpected
    assert all(name.startswith("backbone.fpn_") for name in match.missing)


def test_imported_weights_fill_a_model(tmp_path: Path, zoo: dict[str, np.ndarray]) -> None:
    source = _save(tmp_path / "model.pth", {"model": {n: torch.tensor(a) for n, a in zoo.items()}})
    config = _config(tmp_path)
    _import(tmp_path, source, config)
    model = _detector(config)
    fresh = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    match = load_pretrained(model, tmp_path / "out" / "imported.safetensors")
    assert set(match.missing) == CATEGORY_HEADS and not match.unused and not match.differing
    for name, tensor in model.state_dict().items():
        wanted = fresh[name] if name in CATEGORY_HEADS else torch.tensor(zoo[name])
        torch.testing.assert_close(tensor, wanted, rtol=0, atol=0)


def test_caffe2_names_become_the_models(tmp_path: Path, zoo: dict[str, np.ndarray]) -> None:
    blobs = {_caffe2_name(name): array for name, array in zoo.items()}
    # There the background comes first, and has a box and a mask of its own.
    for kind in "wb":
        blobs[f"cls_score_{kind}"] = np.roll(blobs[f"cls_score_{kind}"], 1, axis=0)
        for name, own in ((f"bbox_pred_{kind}", 4), (f"mask_fcn_logits_{kind}", 1)):
            blobs[name] = np.concatenate([np.zeros_like(blobs[name][:own]), blobs[name]])
    blobs["conv1_w_momentum"] = blobs["conv1_w"]
    file = tmp_path / "model_final.pkl"
    digest = _save(file, {"blobs": blobs, "cfg": "text"})[-1]
    weights = read_weights(file, allow_pickle=True, sha256=digest)
    match = match_weights(_detector(_config(tmp_path, classes=80)), weights, file)
    assert set(match.tensors) == set(zoo) and match.unused == ["conv1_w_momentum"]
    for name, tensor in match.tensors.items():
        np.testing.assert_array_equal(tensor.numpy(), zoo[name], err_msg=name)
    assert match.sources["backbone.bottom_up.res4.5.conv3.norm.weight"] == "res4_5_branch2c_bn_s"


def test_an_imagenet_file_fills_the_backbone_as_detectron2_does(
    tmp_path: Path, zoo: dict[str, np.ndarray]
) -> None:
    folded = ("running_mean", "running_var")
    bare = {
        _caffe2_name(name): array
        for name, array in zoo.items()
        if name.startswith("backbone.bottom_up.") and not name.endswith(folded)
    }
    bare |= {"fc1000_w": np.zeros((10, 4), np.float32), "fc1000_b": np.zeros(10, np.float32)}
    config = _config(tmp_path)
    model = _detector(config)
    written, report = _import(tmp_path, _save(tmp_path / "R-50.pkl", bare), config)
    theirs = align_and_update_state_dicts(
        model.state_dict(), {name: torch.tensor(array) for name, array in bare.items()}
    )
    trusted = {name: tensor for name, tensor in theirs.items() if name in model.state_dict()}
    assert set(written) == set(trusted) and len(written) == len(bare) - 2
    torch.testing.assert_close(written, trusted, rtol=0, atol=0)
    assert report["unused"] == ["fc1000_b", "fc1000_w"]
    assert load_pretrained(model, tmp_path / "out/imported.safetensors").tensors
    stem = model.backbone.bottom_up.stem.conv1.norm
    assert (stem.running_mean == 0).all() and torch.allclose(stem.running_var, torch.ones(8))


@pytest.mark.parametrize("wrapper", ["module.", "model.", "_orig_mod.", "module.model."])
def test_a_wrappers_prefix_is_stripped(
    tmp_path: Path, zoo: dict[str, np.ndarray], wrapper: str
) -> None:
    model = _detector(_config(tmp_path, classes=80))
    tensors = {wrapper + name: torch.tensor(array) for name, array in zoo.items()}
    match = match_weights(model, Weights(tensors), tmp_path)
    assert match.sources == {name: wrapper + name for name in zoo}
    bottom_up = {
        name.removeprefix("backbone."): torch.tensor(array)
        for name, array in zoo.items()
        if name.startswith("backbone.")
    }
    match = match_weights(model, Weights(bottom_up), tmp_path)
    assert match.sources == {"backbone." + name: name for name in bottom_up}


@pytest.mark.parametrize("network", ["tf_efficientnet_lite0", "repvgg_a0", "resnet18"])
def test_a_bare_network_of_timm_goes_to_the_backbone(tmp_path: Path, network: str) -> None:
    torch.manual_seed(1)
    net = timm.create_model(network)
    save_file(net.state_dict(), tmp_path / "net.safetensors")
    backbone = tmp_path / "backbone.yaml"
    lite0 = Path("conf/detectors/backbones/lite0_fpn.yaml").read_text()
    backbone.write_text(lite0.replace("NAME: tf_efficientnet_lite0", f"NAME: {network}"))
    model = _detector("conf/detectors/mask_rcnn.yaml", backbone)
    match = load_pretrained(model, tmp_path / "net.safetensors")
    assert set(match.sources) == {
        f"backbone.bottom_up.net.{name}" for name in model.backbone.bottom_up.net.state_dict()
    }
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted = net.eval().forward_intermediates(image, intermediates_only=True)[-1]
        got = model.eval().backbone.bottom_up.net(image)[-1]
    torch.testing.assert_close(got, wanted)
    assert all(name.split(".")[0] in ("conv_head", "bn2", "classifier", "fc", "head", "final_conv")
               for name in match.unused)  # fmt: skip


def test_the_shipped_bundles_weights_fill_a_detector_of_other_categories(tmp_path: Path) -> None:
    shipped = Path("jeans_udf/bundles/default/detector.safetensors")
    config = tmp_path / "seven.yaml"
    settings = yaml.safe_load(Path("jeans_udf/bundles/default/detector.yaml").read_text())
    settings["MODEL"]["ROI_HEADS"]["NUM_CLASSES"] = 7
    settings["MODEL"]["ANCHOR_GENERATOR"]["ASPECT_RATIOS"] = [[0.5, 1.0, 2.0]]
    config.write_text(yaml.safe_dump(settings))
    model, tensors = _detector(config), load_file(shipped)
    match = load_pretrained(model, shipped)
    assert set(match.differing) == CATEGORY_HEADS | ANCHOR_HEADS
    assert not match.missing and not match.unused
    stem = model.state_dict()["backbone.bottom_up.net.conv_stem.weight"]
    assert tensors["backbone.bottom_up.net.conv_stem.weight"].dtype == torch.float16
    torch.testing.assert_close(stem, tensors["backbone.bottom_up.net.conv_stem.weight"].float())


def test_other_widths_stop_a_training_but_not_an_import(
    tmp_path: Path, zoo: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    config = _config(tmp_path, width=12)
    tensors = {name: torch.tensor(array) for name, array in zoo.items()}
    save_file(tensors, tmp_path / "zoo.safetensors")
    with pytest.raises(ConfigError, match=r"shape .*fpn_lateral2.weight is \(8, 16, 1, 1"):
        load_pretrained(_detector(config), tmp_path / "zoo.safetensors")
    written, report = _import(tmp_path, ["--weights", str(tmp_path / "zoo.safetensors")], config)
    assert "backbone.fpn_lateral2.weight" in {e["name"] for e in report["reinitialised"]}
    assert "backbone.bottom_up.res5.2.conv3.weight" in written
    head = "proposal_generator.rpn_head.objectness_logits"
    match = match_weights(_detector(config), Weights(tensors), tmp_path)
    assert f"{head}.weight" in match.unexpected, "the anchors are as many, its inputs are not"
    assert "the config's widths are not those of the file" in capsys.readouterr().out
    assert load_pretrained(_detector(config), tmp_path / "out/imported.safetensors").missing


def test_half_precision_is_widened_or_kept(tmp_path: Path, zoo: dict[str, np.ndarray]) -> None:
    halves = {n: torch.tensor(a).half() if a.ndim > 1 else torch.tensor(a).double()
              for n, a in zoo.items()}  # fmt: skip
    source = _save(tmp_path / "half.pth", halves)
    config = _config(tmp_path)
    written, _ = _import(tmp_path, source, config)
    assert {tensor.dtype for tensor in written.values()} == {torch.float32}
    written, _ = _import(tmp_path, source, config, "--half", "--overwrite")
    assert {t.dtype for t in written.values() if t.ndim > 1} == {torch.float16}
    assert {t.dtype for t in written.values() if t.ndim == 1} == {torch.float32}
    model = _detector(config)
    load_pretrained(model, tmp_path / "out/imported.safetensors")
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}


def test_bgr_weights_see_the_same_in_rgb(
    tmp_path: Path, zoo: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    source = _save(tmp_path / "zoo.pkl", {"model": zoo, "__author__": "Zoo"})
    written, report = _import(tmp_path, source, _config(tmp_path), "--bgr")
    stem = "backbone.bottom_up.stem.conv1.weight"
    assert f"reversed the input channels of {stem}" in capsys.readouterr().out
    assert report["bgr"] is True
    image = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(
        torch.conv2d(image, written[stem]),
        torch.conv2d(image.flip(1), torch.tensor(zoo[stem])),
        atol=1e-4, rtol=0,
    )  # fmt: skip
    changed = [n for n, t in written.items() if not np.array_equal(t.numpy(), zoo[n])]
    assert changed == [stem]


def _refused(capsys: pytest.CaptureFixture[str], output: Path, *arguments: str) -> str:
    assert import_weights.main([*arguments, "--output", str(output)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("import_weights: ") and told.count("\n") == 1, told
    return told


def test_a_config_that_does_not_fit_is_told_with_near_misses(
    tmp_path: Path, zoo: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    source = _save(tmp_path / "zoo.pkl", {"model": zoo, "__author__": "Zoo"})
    output = tmp_path / "out"
    told = _refused(capsys, output, *source)
    assert "0 of the backbone's 240 tensors match" in told
    assert "backbone.bottom_up.net." in told and "whose nearest name is 'backbone." in told
    deeper = _config(tmp_path, "r101", depth=101)
    told = _refused(capsys, output, *source, "--config", str(deeper), "--backbone", "none")
    assert "backbone.bottom_up.res4.10.conv1.norm.bias (16,) is not in the file" in told
    assert not list(tmp_path.glob("out*"))


def test_a_malicious_file_stops_the_job_and_runs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "marker",)

    source = _save(tmp_path / "zoo.pkl", {"model": {"a": Evil()}, "__author__": "Zoo"})
    told = _refused(capsys, tmp_path / "out", *source)
    assert "asks for pathlib.Path.touch" in told or "asks for builtins.getattr" in told
    assert not (tmp_path / "marker").exists()
    told = _refused(capsys, tmp_path / "out", "--weights", str(tmp_path / "zoo.pkl"))
    assert "nothing was opened. Give --allow-pickle" in told


def test_nothing_is_overwritten_silently(
    tmp_path: Path, zoo: dict[str, np.ndarray], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r50.json").write_text("mine")
    source = _save(tmp_path / "zoo.pkl", {"model": zoo, "__author__": "Zoo"})
    told = _refused(capsys, tmp_path / "r50.safetensors", *source)
    assert "r50.json: exists; name another one, or give --overwrite" in told
    assert (tmp_path / "r50.json").read_text() == "mine"
    config = ["--config", str(_config(tmp_path)), "--backbone", "none"]
    told = _refused(capsys, tmp_path / "zoo.pkl" / "r50", *source, *config)
    assert "cannot be written" in told


def test_numbers_that_are_none_are_told(tmp_path: Path, zoo: dict[str, np.ndarray]) -> None:
    tensors = {name: torch.tensor(array) for name, array in zoo.items()}
    tensors["backbone.fpn_lateral2.bias"][3] = float("nan")
    model = _detector(_config(tmp_path))
    with pytest.raises(ConfigError, match=r"1 tensors hold .*NaN: \['backbone.fpn_lateral2.bias"):
        match_weights(model, Weights(tensors), tmp_path)


@pytest.mark.parametrize("name", ["bbox_pred_w", "fpn_inner_w", "fpn_res_w"])
def test_names_that_only_look_like_caffe2s_are_told(tmp_path: Path, name: str) -> None:
    weights = Weights({name: torch.tensor(1.0)}, by_suffix=True, caffe2=True)
    with pytest.raises(ConfigError, match="names are not those of Caffe2's Detectron"):
        match_weights(_detector(_config(tmp_path)), weights, tmp_path)


def test_the_longest_end_of_a_name_wins(tmp_path: Path, zoo: dict[str, np.ndarray]) -> None:
    model = _detector(_config(tmp_path, classes=80))
    cut = {name.removeprefix("backbone.bottom_up."): torch.tensor(a) for name, a in zoo.items()}
    decoys = {"conv1.weight": torch.ones(8, 3, 7, 7), "norm.bias": torch.ones(4)}
    match = match_weights(model, Weights(cut | decoys, by_suffix=True), tmp_path)
    assert set(match.sources.values()) == set(cut) and match.unused == sorted(decoys)


def test_an_ambiguous_name_is_told(tmp_path: Path) -> None:
    weights = Weights({"conv1.norm.weight": torch.ones(4)}, by_suffix=True)
    with pytest.raises(ConfigError, match="'conv1.norm.weight' could be backbone.*res2.0.* and"):
        match_weights(_detector(_config(tmp_path)), weights, tmp_path)

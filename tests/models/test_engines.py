"""Every engine gives what torch gives, whatever the architecture, the batch and the size."""

from __future__ import annotations

import copy
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from architectures import ALL, assert_same, pictures, small_detector
from safetensors.torch import load_file
from torch import nn

from jeans_udf.bundle import open_bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.engines.engine import Engine, EngineName
from jeans_udf.engines.exported import KEPT_SECONDS, Exported, cache_folder
from jeans_udf.engines.parts import handed
from jeans_udf.engines.registry import PREFERRED, check_engine, open_engine
from jeans_udf.errors import ConfigError
from jeans_udf.loading import load_detector

CPU = torch.device("cpu")
ENGINES: tuple[EngineName, ...] = ("openvino", "onnxruntime", "torch")


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing of an earlier run, and nothing of this one in the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def an_engine(name: EngineName, model: str = "a model", **options: str) -> Engine:
    return open_engine(name, CPU, model_sha256=model, threads=1, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ALL)
def test_a_detector_finds_the_same(name: str, engine: EngineName) -> None:
    plain = small_detector(name)
    other = small_detector(name, engine=an_engine(engine, name))
    small, large = pictures(3), [np.repeat(picture, 2, axis=1) for picture in pictures(2)]
    for images in (small, large, small[:1]):
        canvases = [plain.prepare(image) for image in images]
        assert len({canvas.shape for canvas in canvases}) == 1
        if plain.is_proposer:
            ours, theirs = other.propose(canvases), plain.propose(canvases)
            for one, two in zip(ours, theirs, strict=True):
                assert len(one) == len(two) > 0
                np.testing.assert_allclose(one.scores, two.scores, atol=1e-4)
            continue
        for found, wanted in zip(other.detect(canvases), plain.detect(canvases), strict=True):
            assert len(found) > 0
            assert_same(found, wanted)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_classifier_says_the_same_and_nothing_of_nothing(engine: EngineName) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 6))
    part = handed(net, an_engine(engine), "net", (torch.zeros(2, 3, 16, 16),), any_size=False)
    inputs = torch.randn(5, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(part(inputs), net(inputs), atol=1e-5, rtol=1e-4)
        assert part(inputs[:0]).shape == (0, 6)
        first = part(inputs)
        part(inputs + 1)
        torch.testing.assert_close(first, net(inputs), atol=1e-5, rtol=1e-4)


def test_bfloat16_is_near_and_not_the_same() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 8, 3))
    inputs = torch.randn(2, 3, 32, 32)
    for engine in ("openvino", "torch"):
        exact, rough = (
            handed(copy.deepcopy(net), an_engine(engine, "rough", precision=precision), "net",
                   (inputs,), any_size=True)
            for precision in ("fp32", "bf16")
        )  # fmt: skip
        with torch.inference_mode():
            gap = (exact(inputs) - rough(inputs)).abs().max() / exact(inputs).abs().max()
        if engine == "torch":
            # OpenVINO computes in float32 where the processor has no bfloat16.
            assert gap > 1e-4
        assert gap < 0.05


@pytest.mark.parametrize("engine", PREFERRED)
def test_exported_once_and_again_when_it_is_broken(
    engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = nn.Conv2d(3, 2, 3)
    inputs = torch.randn(2, 3, 8, 8)

    def answer(model: str) -> torch.Tensor:
        part = handed(net, an_engine(engine, model), "net", (inputs,), any_size=True)
        with torch.inference_mode():
            return part(inputs)

    def files() -> dict[Path, int]:
        return {f: f.stat().st_mtime_ns for f in cache_folder().rglob("*") if f.is_file()}

    before = set(files())
    first = answer("one")
    kept = {file: time for file, time in files().items() if file not in before}
    assert kept
    torch.testing.assert_close(answer("one"), first)
    assert {f: t for f, t in files().items() if f not in before} == kept, "read, not written"
    answer("another")
    assert len(files()) == len(before) + 2 * len(kept), "another model has its own"
    for file in kept:
        file.write_bytes(b"not a model")
    torch.testing.assert_close(answer("one"), first)
    assert all(file.stat().st_size > len(b"not a model") for file in kept)


def test_models_that_nobody_opens_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def open_part(model: str, part: str) -> None:
        Exported(model, ("engine",)).folder(part, lambda folder: (folder / "x").write_text(""))

    open_part("old", "a")
    open_part("used", "a")
    month_ago = time.time() - KEPT_SECONDS - 60
    for model in cache_folder().iterdir():
        os.utime(model, (month_ago, month_ago))
    open_part("used", "a")
    open_part("new", "a")
    left = {path.name for path in cache_folder().iterdir()}
    assert left == {Exported(name, ("engine",)).key for name in ("used", "new")}


def test_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    assert an_engine("auto").name == "openvino"
    missing = {"openvino"}
    monkeypatch.setattr(
        "jeans_udf.engines.registry._installed", lambda package: package not in missing
    )
    assert an_engine("auto").name == "onnxruntime"
    assert an_engine("auto", precision="bf16").name == "torch"
    missing.add("onnxruntime")
    assert an_engine("auto").name == "torch"
    with pytest.raises(ConfigError, match="engine=openvino.*pip install openvino"):
        check_engine("openvino", "fp32")
    with pytest.raises(ConfigError, match="fp16: the engine openvino has fp32, bf16"):
        missing.clear()
        check_engine("openvino", "fp16")
    with pytest.raises(ConfigError, match="fp16 is for GPUs"):
        an_engine("torch", precision="fp16")
    with pytest.raises(ConfigError, match="runs on CPUs"):
        open_engine("openvino", torch.device("cuda"), model_sha256="", threads=1)


def test_where_no_home_can_be_written_a_folder_of_this_user_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    ours = cache_folder()
    assert ours.parent == tmp_path and ours.stat().st_mode & 0o077 == 0
    assert cache_folder() == ours
    # Somebody else could have put models into it.
    ours.chmod(0o777)
    assert cache_folder() != ours


def test_the_weights_are_counted_whatever_runs_them() -> None:
    bundle, cpu = open_bundle("default"), torch.device("cpu")
    counts = {
        name: load_detector(bundle, TaggingConfig(), cpu, an_engine(name, "default")).parameters
        for name in ENGINES
    }
    weights = load_file(bundle.path(bundle.manifest.detector.weights))
    assert len(set(counts.values())) == 1
    # Folding takes batch norms' scales and shifts and gives biases; buffers are no parameters.
    assert 0.97 < counts["torch"] / sum(tensor.numel() for tensor in weights.values()) <= 1

"""Reading other projects' weights: what is refused, that nothing of it runs, and what is read."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from jeans_udf.errors import ConfigError
from jeans_udf.training.weight_files import Weights, read_safetensors, read_weights


def _read(file: Path) -> Weights:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return read_weights(file, allow_pickle=True, sha256=digest)


def _pickled(folder: Path, content: Any, protocol: int = 4) -> Path:
    file = folder / "weights.pkl"
    file.write_bytes(pickle.dumps(content, protocol))
    return file


class Runs:
    """What an attacker pickles: a call of ``function`` when it is opened."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 3, 4, 5])
def test_arrays_of_every_protocol_are_read_as_numpy_reads_them(
    tmp_path: Path, protocol: int
) -> None:
    rng = np.random.default_rng(1)
    arrays = {
        "float": rng.normal(size=(3, 4)).astype(np.float32),
        "half": rng.normal(size=5).astype(np.float16),
        "double": rng.normal(size=(2, 1, 3)),
        "fortran": np.asfortranarray(rng.normal(size=(3, 2)).astype(np.float32)),
        "swapped": np.arange(4, dtype=">i4"),
        "int": np.arange(-3, 3),
        "bytes": np.arange(256, dtype=np.uint8),
        "bool": np.array([True, False]),
        "point": np.array(2.5, dtype=np.float32),
        "scalar": np.float32(7),
    }
    if protocol > 2:  # older ones call a function for no bytes at all
        arrays["none"] = np.zeros((0, 2), dtype=np.float32)
    content = {"model": OrderedDict(arrays), "__author__": "someone"}
    read = _read(_pickled(tmp_path, content, protocol))
    assert not read.by_suffix and not read.caffe2 and not read.others
    assert set(read.tensors) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read.tensors[name].numpy(), array)


def test_files_of_python_2_hold_bytes_as_text(tmp_path: Path) -> None:
    numbers = struct.pack("<2f", -1.5, 3.1)
    assert max(numbers) > 127, "a byte that is no ASCII"
    file = tmp_path / "old.pkl"
    file.write_bytes(
        b"\x80\x02}U\x01ucnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        b"(K\x01(K\x02tcnumpy\ndtype\n(U\x02f4K\x00K\x01tR(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x08" + numbers + b"tbs."
    )
    assert _read(file).tensors["u"].tolist() == pytest.approx([-1.5, 3.1])


def test_what_the_file_says_about_its_names(tmp_path: Path) -> None:
    array = np.ones(2, np.float32)
    zoo = {"model": {"a": array}, "__author__": "Detectron2 Model Zoo"}
    assert _read(_pickled(tmp_path, zoo)).by_suffix is False
    read = _read(_pickled(tmp_path, {**zoo, "matching_heuristics": True}))
    assert read.by_suffix and not read.caffe2
    caffe2 = {"blobs": {"a_w": array, "a_w_momentum": array, "cfg": "text"}}
    read = _read(_pickled(tmp_path, caffe2))
    assert read.by_suffix and read.caffe2 and set(read.tensors) == {"a_w"}
    assert read.others == ["a_w_momentum", "cfg"]
    assert _read(_pickled(tmp_path, caffe2["blobs"])).caffe2, "ImageNet networks have no blobs"


@pytest.mark.parametrize("ending", ["pth", "pt"])
def test_state_dicts_of_torch(tmp_path: Path, ending: str) -> None:
    state = {"a.weight": torch.randn(3), "epoch": 4}
    file = tmp_path / f"weights.{ending}"
    for content in (state, {"model": state, "optimizer": {}}, {"state_dict": state}):
        torch.save(content, file)
        read = _read(file)
        torch.testing.assert_close(read.tensors, {"a.weight": state["a.weight"]})
        assert read.others == ["epoch"] and not read.by_suffix


def test_safetensors_need_no_flag_but_a_digest_given_is_checked(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.ones(2)}, file)
    read = read_weights(file, allow_pickle=False, sha256=None)
    assert set(read.tensors) == {"a"}
    assert read.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(ConfigError, match="wanted 00; nothing was opened"):
        read_weights(file, allow_pickle=False, sha256="00")


CALLS = {
    "posix.system": lambda marker: Runs(os.system, f"touch {marker}"),
    "builtins.exec": lambda marker: Runs(exec, f"open({str(marker)!r}, 'w')"),
    "builtins.getattr": lambda marker: Runs(getattr, "text", "upper"),
    "io.open": lambda marker: Runs(open, str(marker), "w"),
    "numpy.load": lambda marker: Runs(np.load, str(marker), None, True),
    "the encoding 'zlib'": lambda marker: Runs(__import__("_codecs").encode, "x", "zlib"),
    "arrays of type 'O8'": lambda marker: np.array([Runs(os.system, f"touch {marker}")], object),
    "arrays of type 'V8'": lambda marker: np.zeros(2, [("a", "f4"), ("b", "f4")]),
    "arrays of type 'U3'": lambda marker: np.array(["abc"]),
}  # fmt: skip


@pytest.mark.parametrize("asked", CALLS)
def test_a_malicious_pkl_runs_nothing_and_is_told(tmp_path: Path, asked: str) -> None:
    marker = tmp_path / "marker"
    evil = CALLS[asked](marker)
    for content in (evil, {"model": {"a": np.ones(2), "b": evil}}):
        with pytest.raises(ConfigError, match=f"asks for {re.escape(asked)}, which arrays"):
            _read(_pickled(tmp_path, content))
    assert not marker.exists()


def test_the_marker_would_be_made_by_an_open_reader(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    pickle.loads(_pickled(tmp_path, CALLS["posix.system"](marker)).read_bytes())
    assert marker.exists(), "or the tests beside this one could not fail"


def test_a_malicious_pth_runs_nothing_and_is_told(tmp_path: Path) -> None:
    marker, file = tmp_path / "marker", tmp_path / "weights.pth"
    torch.save({"model": {"a": torch.ones(2), "b": Runs(os.system, f"touch {marker}")}}, file)
    with pytest.raises(ConfigError, match=r"weights\.pth: the pickle asks for posix\.system"):
        _read(file)
    assert not marker.exists()


def test_pickles_are_not_opened_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("opened")

    monkeypatch.setattr("jeans_udf.training.weight_files.NumbersUnpickler", fail)
    monkeypatch.setattr(torch, "load", fail)
    for file in (tmp_path / "a.pkl", tmp_path / "a.pth", tmp_path / "a.PT"):
        file.write_bytes(b"anything")
        digest = hashlib.sha256(b"anything").hexdigest()
        with pytest.raises(ConfigError, match="nothing was opened. Give --allow-pickle"):
            read_weights(file, allow_pickle=False, sha256=digest)
        with pytest.raises(ConfigError, match=f"need --sha256; nothing was opened. It is {digest}"):
            read_weights(file, allow_pickle=True, sha256=None)
        with pytest.raises(ConfigError, match=f"sha256 is {digest}, wanted abc; nothing was"):
            read_weights(file, allow_pickle=True, sha256="abc")


@pytest.mark.parametrize("ending", ["pkl", "pth", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x00" * 9, b"PK\x03\x04rubbish", b"\x80\x04]", b"N."])
def test_damaged_files_are_told(tmp_path: Path, ending: str, content: bytes) -> None:
    file = tmp_path / f"weights.{ending}"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"weights {file}: (is no|holds NoneType)"):
        _read(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "holds list, wanted a dictionary"),
        ({"model": {}}, "holds no tensor; wanted a state dict"),
        ({"blobs": 3}, "holds int, wanted a state dict"),
        ({"a": "text"}, "holds no tensor"),
    ],
)
def test_pickles_without_weights_are_told(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _read(_pickled(tmp_path, content))


def test_a_cut_array_is_told(tmp_path: Path) -> None:
    file = _pickled(tmp_path, {"a": np.arange(4, dtype=np.float32)})
    file.write_bytes(file.read_bytes().replace(b"K\x04\x85", b"K\x05\x85"))
    with pytest.raises(ConfigError, match="is no readable pickle: cannot reshape"):
        _read(file)


def test_files_of_another_ending_and_absent_ones_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ending in '.onnx', wanted one of .safetensors, .pkl"):
        read_weights(tmp_path / "a.onnx", allow_pickle=True, sha256=None)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_weights(tmp_path / "a.pkl", allow_pickle=True, sha256="00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_safetensors(tmp_path)


def test_nothing_else_of_the_product_opens_pickles() -> None:
    loaders = re.compile(
        r"torch\.load\b|torch\.jit\.load\b|pickle\.loads?\b|pickle\.Unpickler|load_learner"
        r"|allow_pickle=True|np\.load\b|joblib|cloudpickle|import pickle\b|from pickle\b|dill"
    )
    found = {
        str(file)
        for folder in ("jeans_udf", "jobs")
        for file in Path(folder).rglob("*.py")
        if loaders.search(file.read_text())
    }
    assert found == {
        # What the supervisor hands to its own child process; no file is read.
        "jeans_udf/isolation/child.py", "jeans_udf/isolation/supervisor.py",
        "jeans_udf/training/restricted_pickle.py", "jeans_udf/training/weight_files.py",
    }  # fmt: skip

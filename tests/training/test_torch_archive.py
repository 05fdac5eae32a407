"""Files of ``torch.save``: tensors as torch reads them, and claims that the bytes do not keep."""

from __future__ import annotations

import io
import zipfile
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import nn

from jeans_udf.training.inert_pickle import Made, Name, Unreadable
from jeans_udf.training.torch_archive import Archive, Storage, read_archive


def _saved(content: Any, newer: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=newer)
    return file.getvalue()


class Own(torch.Tensor):
    """fastai's tensors are of such subclasses."""


@pytest.mark.parametrize("newer", [True, False])
def test_tensors_are_those_that_torch_reads(newer: bool) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(4, 6)
    content = OrderedDict(
        float=matrix, half=matrix.half(), bfloat=matrix.bfloat16(), double=matrix.double(),
        long=torch.arange(5), byte=torch.arange(9, dtype=torch.uint8), bool=torch.tensor([True]),
        scalar=torch.tensor(2.5), transposed=matrix.T, part=matrix[1:3, 2:4], empty=torch.zeros(0),
        parameter=nn.Parameter(matrix), own=matrix.clone().as_subclass(Own),
    )  # fmt: skip
    archive = read_archive(_saved(content, newer))
    assert list(archive.root) == list(content)
    for name, wanted in content.items():
        got = archive.tensor(archive.root[name])
        assert got is not None and type(got) is torch.Tensor, name
        torch.testing.assert_close(got, wanted.detach().as_subclass(torch.Tensor), rtol=0, atol=0)
    assert archive.tensor("text") is None and archive.tensor(Made(Name("os.system"), ())) is None


@pytest.mark.parametrize("newer", [True, False])
def test_modules_are_told_with_their_tensors(newer: bool) -> None:
    module = nn.Sequential(nn.Linear(2, 3))
    archive = read_archive(_saved({"model": module}, newer))
    model = archive.root["model"]
    assert model.kind == "torch.nn.modules.container.Sequential"
    weight = model.state["_modules"]["0"].state["_parameters"]["weight"]
    torch.testing.assert_close(archive.tensor(weight), module[0].weight.detach())


VIEWS = {
    "more than it holds": [(0, (3, 3), (3, 1)), (7, (2,), (1,)), (0, (2,), (8,)),
                           (0, (2**40, 2**40), (0, 0)), (0, (1000,), (0,))],
    "no row of numbers": [(-1, (2,), (1,)), (0, (-2,), (1,)), (0, (True,), (1,)),
                          (0, ("a",), (1,))],
    "without offset, size": [(0, (2,), (1, 1)), (0, 2, 1), (0,), (None, (2,), (1,)),
                             (0, (1,) * 9, (1,) * 9)],
}  # fmt: skip


@pytest.mark.parametrize("message", VIEWS)
def test_tensors_that_the_bytes_do_not_hold_are_refused(message: str) -> None:
    archive = Archive(None, {"0": memoryview(bytearray(8 * 4))})
    storage = Storage(torch.float32, "0")
    rebuild = Name("torch._utils._rebuild_tensor_v2")
    assert archive.tensor(Made(rebuild, (storage, 0, (2, 4), (4, 1)))).shape == (2, 4)
    for view in VIEWS[message]:
        with pytest.raises(Unreadable, match=message):
            archive.tensor(Made(rebuild, (storage, *view)))
    with pytest.raises(Unreadable, match="lacks the numbers of storage '7'"):
        archive.tensor(Made(rebuild, (Storage(torch.float32, "7"), 0, (1,), (1,))))


def test_calls_within_calls_end() -> None:
    value: Any = None
    for _ in range(100_000):
        value = Made(Name("torch._utils._rebuild_parameter"), (value,))
    assert Archive(None, {}).tensor(value) is None


def _zip(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is no readable pickle"),
        (b"\x80\x02N.", "is no file of torch.save"),
        (b"PK\x03\x04rubbish", "is a damaged zip file"),
        (_zip({"a/other": b""}), "holds no one data.pkl"),
        (_zip({"a/data.pkl": b"N.", "b/data.pkl": b"N."}), "holds no one data.pkl"),
        (_zip({"a/data.pkl": b"N.", "a/byteorder": b"big"}), "big-endian"),
        (_zip({"a/data.pkl": b"N.", "a/data/0": b"\0" * 10**6}, zipfile.ZIP_DEFLATED),
         "is compressed"),
        (_zip({"a/data.pkl": b"\xff"}), "is no readable pickle"),
        (_saved({"a": torch.ones(9)}, newer=False)[:-8], "is cut off"),
        (_saved({"a": torch.ones(9)})[:-8], "is a damaged zip file"),
    ],
)  # fmt: skip
def test_damaged_files_are_told(data: bytes, message: str) -> None:
    with pytest.raises(Unreadable, match=message):
        read_archive(data)


def test_numbers_that_no_network_has_are_no_tensors() -> None:
    archive = read_archive(_saved({"a": torch.ones(3, dtype=torch.complex64)}))
    assert archive.tensor(archive.root["a"]) is None

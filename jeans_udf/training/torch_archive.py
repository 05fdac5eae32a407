"""A file of ``torch.save`` (zip, or the older kind) as inert data and the tensors that lie in it.

The objects are those of `inert_pickle`. Tensors are views of the file's bytes: what a pickle claims
of their size is checked against the bytes that are there, and takes no memory of its own.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from jeans_udf.training.inert_pickle import Made, Name, Unreadable, read_inert

MAGIC = 0x1950A86A20F9469CFC6C
"""What the first pickle of the older kind holds."""
PROTOCOL = 1001
"""And its second."""

STORED = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
"""Kinds of storages by the last part of their names; others hold no weights of a network."""

REBUILT = {
    "torch._utils._rebuild_tensor": 0,
    "torch._utils._rebuild_tensor_v2": 0,
    "torch._utils._rebuild_parameter": 0,
    "torch._utils._rebuild_parameter_with_state": 0,
    # fastai's of 2020: the class comes first.
    "fastai.torch_core._fa_rebuild_tensor": 1,
    # A subclass of tensor: the function, the class, and the function's arguments.
    "torch._tensor._rebuild_from_type": 2,
    "torch._tensor._rebuild_from_type_v2": 2,
    "torch.tensor._rebuild_from_type": 2,
}
"""Functions that make tensors, and which of their arguments leads on to the storage."""


@dataclass(frozen=True, eq=False)
class Storage:
    """A row of numbers in the file, named by ``key``."""

    kind: torch.dtype
    key: str


@dataclass(frozen=True)
class Archive:
    """The object that was saved, and the bytes of its storages by their keys."""

    root: Any
    storages: Mapping[str, memoryview]

    def tensor(self, value: Any) -> torch.Tensor | None:
        """The tensor that ``value`` would have been, a view; None when it is none.

        Raises `Unreadable` when the file does not hold all of it.
        """
        # A parameter of a subclass of tensor is three calls deep.
        for _ in range(4):
            if not isinstance(value, Made) or value.kind not in REBUILT:
                return None
            place = REBUILT[value.kind]
            if len(value.arguments) <= place:
                return None
            inner = value.arguments[place]
            if isinstance(inner, Storage):
                return self._view(inner, value.arguments[place + 1 : place + 4])
            # A subclass's arguments are a tuple, which stands for the call of a plain tensor.
            value = Made(value.arguments[0], inner) if isinstance(inner, tuple) else inner
        return None

    def _view(self, storage: Storage, arguments: tuple[Any, ...]) -> torch.Tensor:
        """The tensor of ``storage`` with ``arguments`` offset, size and stride, in numbers."""
        match arguments:
            case (int(offset), tuple(size), tuple(stride)) if len(size) == len(stride) < 9:
                pass
            case _:
                raise Unreadable("holds a tensor without offset, size and stride")
        if not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
            raise Unreadable("holds a tensor whose shape is no row of numbers")
        if storage.key not in self.storages:
            raise Unreadable(f"lacks the numbers of storage {storage.key[:40]!r}")
        if 0 in size:
            return torch.zeros(0, dtype=storage.kind)
        raw = self.storages[storage.key]
        there = len(raw) // storage.kind.itemsize
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if last >= there or math.prod(size) > there:
            raise Unreadable(f"claims a tensor of shape {size}, which is more than it holds")
        flat = torch.frombuffer(raw, dtype=storage.kind, count=there)
        return flat.as_strided(size, stride, offset)


def read_archive(data: bytes) -> Archive:
    """What ``data``, the bytes of a file, holds; raises `Unreadable`."""
    return _read_zip(data) if data[:4] == b"PK\x03\x04" else _read_older(data)


def _stored(identity: Any) -> Any:
    """A persistent id: a storage, or a class of a module (with its source, which stays unread)."""
    if isinstance(identity, tuple) and len(identity) > 2:
        if identity[0] == "module":
            return identity[1]
        kind = identity[1].full.rpartition(".")[2] if isinstance(identity[1], Name) else ""
        if identity[0] == "storage" and kind in STORED and isinstance(identity[2], str):
            if len(identity) > 5 and identity[5] is not None:
                raise Unreadable("holds a storage within another; save the learner again")
            return Storage(STORED[kind], identity[2])
    # Complex or quantised numbers: whatever refers to them is no tensor here.
    return None


def _read_zip(data: bytes) -> Archive:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            names = [name for name in members if name.endswith("data.pkl")]
            if len(names) != 1:
                raise Unreadable("is a zip file, but not of torch.save: it holds no one data.pkl")
            folder = names[0].removesuffix("data.pkl")
            if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
                raise Unreadable("is compressed, which torch.save never does")
            if sum(info.file_size for info in members.values()) > len(data):
                raise Unreadable("claims to hold more bytes than it has")
            if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
                raise Unreadable("was saved on a big-endian machine; save it again on another")
            root = read_inert(io.BytesIO(archive.read(names[0])), _stored)
            place = f"{folder}data/"
            storages = {
                name.removeprefix(place): memoryview(bytearray(archive.read(name)))
                for name in members
                if name.startswith(place)
            }
    except Unreadable:
        raise
    # A damaged directory of the zip ends in nearly anything.
    except Exception as error:
        raise Unreadable(f"is a damaged zip file: {str(error)[:100]}") from None
    return Archive(root, storages)


def _read_older(data: bytes) -> Archive:
    """Pickles one after the other (mark, version, machine, object, keys), then the storages."""
    file = io.BytesIO(data)
    if read_inert(file) != MAGIC or read_inert(file) != PROTOCOL:
        raise Unreadable("is no file of torch.save")
    machine = read_inert(file)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise Unreadable("was saved on a big-endian machine; save it again on another")
    kinds: dict[str, torch.dtype] = {}

    def stored(identity: Any) -> Any:
        storage = _stored(identity)
        if isinstance(storage, Storage):
            kinds[storage.key] = storage.kind
        return storage

    root = read_inert(file, stored)
    storages = {}
    rest = memoryview(bytearray(data))
    keys = read_inert(file)
    start = file.tell()
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in kinds:
            raise Unreadable("holds numbers of an unknown kind: complex or quantised ones, say")
        count = int.from_bytes(rest[start : start + 8], "little")
        end = start + 8 + count * kinds[key].itemsize
        if end > len(rest):
            raise Unreadable(f"is cut off: storage {key[:40]!r} is not whole")
        storages[key] = rest[start + 8 : end]
        start = end
    return Archive(root, storages)

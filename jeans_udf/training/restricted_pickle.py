"""An unpickler for dictionaries of numpy arrays that runs nothing a file names, not even numpy.

A pickle is a program: it names functions and has them called. This one may name the handful that
numpy's own arrays need, and each stands for a function of this module that builds a plain tensor
from a type of number, a shape and bytes. A pickle that names anything else is refused.
"""

from __future__ import annotations

import pickle
import re
from collections import OrderedDict
from typing import Any

import numpy as np
import torch

NUMBERS = re.compile(r"[<>|=]?(f[248]|i[1248]|u[1248]|b1)")
"""Types of numbers that an array may hold."""


class Forbidden(pickle.UnpicklingError):
    """A pickle asks for something that is no array."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the pickle asks for {name}, which arrays of numbers do not need; it was refused and "
            "nothing of it was run. Do not use this file: weights can be shipped as safetensors"
        )


class StoredType:
    """Stands for ``numpy.dtype`` in a pickle: numbers only."""

    def __init__(self, name: Any, *_: Any) -> None:
        if not isinstance(name, str) or not NUMBERS.fullmatch(name):
            raise Forbidden(f"arrays of type {str(name)[:40]!r}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class StoredArray:
    """Stands for ``numpy.ndarray`` in a pickle; ``tensor`` is what it holds."""

    tensor: torch.Tensor | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        self.fill(data, kind, shape, "F" if fortran else "C")

    def fill(self, data: Any, kind: StoredType, shape: Any, order: Any) -> None:
        raw = data.encode("latin1") if isinstance(data, str) else data
        array = np.frombuffer(raw, kind.dtype).reshape(shape, order=order)
        # Copied, into this machine's byte order: torch knows no other.
        self.tensor = torch.from_numpy(array.astype(kind.dtype.newbyteorder("=")))


def _reconstruct(*_: Any) -> StoredArray:
    return StoredArray()


def _frombuffer(data: Any, kind: StoredType, shape: Any, order: Any, *_: Any) -> StoredArray:
    array = StoredArray()
    array.fill(data, kind, shape, order)
    return array


def _scalar(kind: StoredType, data: Any) -> StoredArray:
    return _frombuffer(data, kind, (), "C")


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise Forbidden(f"the encoding {encoding[:40]!r}")
    return text.encode("latin1")


STANDS_FOR: dict[str, Any] = {
    "numpy.ndarray": StoredArray,
    "numpy.dtype": StoredType,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy._core.numeric._frombuffer": _frombuffer,
    "_codecs.encode": _encode,
    "collections.OrderedDict": OrderedDict,
}
"""All that a pickle may ask for, and what it gets instead."""


class NumbersUnpickler(pickle.Unpickler):
    """Unpickles dictionaries of numpy arrays (as `StoredArray`) and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        asked = f"{module}.{name}"
        if asked not in STANDS_FOR:
            raise Forbidden(asked)
        return STANDS_FOR[asked]

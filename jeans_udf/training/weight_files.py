"""Reading weights of other projects: safetensors, Detectron2's ``.pkl``, PyTorch's ``.pth``.

A pickle is opened only at a person's explicit request (``jobs/import_weights.py --allow-pickle
--sha256 ...``; learners of fastai are `learner_file`'s). The digest is checked first,
and what was checked is what is read. A ``.pkl`` is then read by `restricted_pickle`, a ``.pth`` by
PyTorch's own restricted loader: neither runs code that a file names.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from jeans_udf.errors import ConfigError
from jeans_udf.training.restricted_pickle import Forbidden, NumbersUnpickler, StoredArray


@dataclass(frozen=True)
class Weights:
    """What a weights file holds, by the file's names."""

    tensors: dict[str, torch.Tensor]
    others: list[str] = field(default_factory=list)
    """Names of entries that are no arrays of numbers."""
    by_suffix: bool = False
    """The file says that its names are ends of the model's (``matching_heuristics``)."""
    caffe2: bool = False
    """Names and layout are those of Caffe2's Detectron."""
    sha256: str = ""
    """Of the file, hex."""


def read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    """All tensors of a safetensors file; `ConfigError` when it is none."""
    return _parse_safetensors(file, _bytes_of(file))


def _bytes_of(file: Path, what: str = "weights") -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{what} {file}: cannot be read: {error.strerror}") from None


def read_weights(file: Path, *, allow_pickle: bool, sha256: str | None) -> Weights:
    """Tensors of ``file``, told by its ending: .safetensors, .pkl, .pth or .pt.

    ``sha256`` (hex) is checked before the content is looked at; files of the last three are opened
    only with it and ``allow_pickle``. Raises `ConfigError` for all that is wrong with the file.
    """
    ending = file.suffix.lower()
    if ending not in READERS:
        raise ConfigError(
            f"weights {file}: got a file ending in {ending!r}, wanted one of {', '.join(READERS)}"
        )
    pickled = ending != ".safetensors"
    data, digest = trusted_bytes(
        file, "weights", pickled=pickled, allow_pickle=allow_pickle, sha256=sha256
    )
    weights: Weights = READERS[ending](file, data)
    if not weights.tensors:
        raise ConfigError(f"weights {file}: holds no tensor; wanted a state dict")
    return replace(weights, sha256=digest)


def trusted_bytes(
    file: Path, what: str, *, pickled: bool, allow_pickle: bool, sha256: str | None
) -> tuple[bytes, str]:
    """The bytes of ``file`` and their sha256 (hex), which is ``sha256`` if that is given.

    A ``pickled`` file needs it, and ``allow_pickle``. Raises `ConfigError`, which calls the file
    ``what``.
    """
    if pickled and not allow_pickle:
        raise ConfigError(
            f"{what} {file}: {file.suffix.lower()} files are pickles, which can run code when "
            "opened; nothing was opened. Give --allow-pickle (and --sha256) if you trust where it "
            "is from"
        )
    data = _bytes_of(file, what)
    digest = hashlib.sha256(data).hexdigest()
    if pickled and sha256 is None:
        raise ConfigError(
            f"{what} {file}: pickles need --sha256; nothing was opened. It is {digest}: compare "
            "it with what the file's publisher says"
        )
    if sha256 is not None and digest != sha256.strip().lower():
        raise ConfigError(
            f"{what} {file}: sha256 is {digest}, wanted {sha256}; nothing was opened. Get the "
            "file again"
        )
    return data, digest


def _read_safetensors(file: Path, data: bytes) -> Weights:
    return Weights(_parse_safetensors(file, data))


def _parse_safetensors(file: Path, data: bytes) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load(data)
    # Its own error has no public base, and strange types end in a KeyError.
    except Exception as error:
        raise ConfigError(f"weights {file}: is no safetensors file: {_first(error)}") from None


def _read_pth(file: Path, data: bytes) -> Weights:
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise ConfigError(f"weights {file}: {_why_torch_refuses(error)}") from None
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    return _split(file, content)


def _read_pkl(file: Path, data: bytes) -> Weights:
    try:
        # Files of Python 2 hold bytes as text.
        content = NumbersUnpickler(io.BytesIO(data), encoding="latin1").load()
    except Forbidden as error:
        raise ConfigError(f"weights {file}: {error}") from None
    # A damaged pickle can fail with nearly anything.
    except Exception as error:
        raise ConfigError(f"weights {file}: is no readable pickle: {_first(error)}") from None
    if not isinstance(content, Mapping):
        raise ConfigError(f"weights {file}: holds {type(content).__name__}, wanted a dictionary")
    if isinstance(content.get("model"), Mapping):
        caffe2 = content.get("__author__") == "Caffe2"
        by_suffix = bool(content.get("matching_heuristics", False))
        return _split(file, content["model"], by_suffix=by_suffix, caffe2=by_suffix and caffe2)
    # Without an author it is of Caffe2: detectors have "blobs", ImageNet networks are bare.
    blobs = content.get("blobs", content)
    return _split(file, blobs, by_suffix=True, caffe2=True)


READERS = {
    ".safetensors": _read_safetensors,
    ".pkl": _read_pkl,
    ".pth": _read_pth,
    ".pt": _read_pth,
}


def _split(file: Path, content: Any, *, by_suffix: bool = False, caffe2: bool = False) -> Weights:
    """Tensors apart from the rest; an optimizer's ``_momentum`` counts to the rest."""
    if not isinstance(content, Mapping):
        raise ConfigError(f"weights {file}: holds {type(content).__name__}, wanted a state dict")
    tensors, others = {}, []
    for name, value in content.items():
        if isinstance(value, StoredArray):
            value = value.tensor
        dense = isinstance(value, torch.Tensor) and value.layout == torch.strided
        if not dense or not isinstance(name, str) or (caffe2 and name.endswith("_momentum")):
            others.append(str(name))
        else:
            tensors[name] = value.detach()
    return Weights(tensors, others, by_suffix, caffe2)


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _why_torch_refuses(error: Exception) -> str:
    asked = re.search(r"GLOBAL ([\w.]+)", str(error))
    return str(Forbidden(asked[1])) if asked else f"is no readable state dict: {_first(error)}"

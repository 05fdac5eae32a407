"""A fastai learner's file, read without fastai and without running any of it.

``learner.save`` (v1 and v2) writes tensors by name; ``learn.export`` pickles the whole learner,
with the functions that made its data. Both are read as inert data (`torch_archive`), only at a
person's explicit request and after the file's sha256 was checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jeans_udf.errors import ConfigError
from jeans_udf.training.inert_pickle import Made, Name, Unreadable
from jeans_udf.training.torch_archive import Archive, read_archive
from jeans_udf.training.weight_files import trusted_bytes

ENDINGS = (".pth", ".pt", ".pkl")
MOST_BYTES = 4_000_000_000
"""A resnet152 with its optimizer's moments has 0.7 GB."""
MOST_NAMES = 100_000
"""Of modules and tensors, each; the same dictionary may stand in a pickle in many places."""
LONGEST_NAME = 300
MOST_LABELS = 10_000
MOST_STEPS = 100
"""Transforms, metrics and callbacks that are told, each."""
LABELLERS = ("MultiCategorize", "EncodedMultiCategorize", "Categorize")
"""fastai's transforms that know the labels; the last has one label a picture."""
OWN_CALLBACKS = ("TrainEvalCallback", "Recorder", "CastToTensor", "ProgressCallback")
"""That every learner has; they do nothing at inference."""
SETTINGS = ("size", "method", "pad_mode", "div", "mean", "std")
"""Of transforms, what is read."""


@dataclass(frozen=True)
class Transform:
    """One step of the validation pictures' way to the network."""

    name: str
    """Its class, without the module."""
    settings: dict[str, Any]


@dataclass(frozen=True)
class LearnerFile:
    """What a learner's file tells."""

    tensors: dict[str, torch.Tensor]
    """By the names of the model's state dict: ``0.…`` is the body, ``1.…`` the head."""
    sha256: str
    whole: bool
    """An exported learner; else only its tensors, and all below is unknown."""
    layers: dict[str, str]
    """Class of each module by its name in the model."""
    architecture: str | None = None
    """A timm network's name, or a function's (``torchvision.models.resnet.resnet34``)."""
    labels: tuple[str, ...] | None = None
    """In the order of the outputs."""
    one_label: bool = False
    """A picture has one label: a softmax over all outputs."""
    transforms: tuple[Transform, ...] = ()
    leftovers: tuple[str, ...] = ()
    """What else there is that has no place in a bundle, in words."""


def read_learner(file: Path, *, allow_pickle: bool, sha256: str | None) -> LearnerFile:
    """Read ``file`` (.pth, .pt, .pkl); raises `ConfigError` for all that is wrong with it."""
    if file.suffix.lower() not in ENDINGS:
        raise ConfigError(f"learner {file}: wanted a file ending in one of {', '.join(ENDINGS)}")
    if file.is_file() and file.stat().st_size > MOST_BYTES:
        raise ConfigError(f"learner {file}: is over {MOST_BYTES} bytes; no learner is that large")
    data, digest = trusted_bytes(
        file, "learner", pickled=True, allow_pickle=allow_pickle, sha256=sha256
    )
    try:
        archive = read_archive(data)
        content = archive.root
        model = get(content, "model")
        if isinstance(model, Made):
            return _exported(archive, content, model, digest)
        state = model if isinstance(model, dict) else content
        if not isinstance(state, dict):
            raise Unreadable("holds no model; wanted what learner.save or learn.export wrote")
        return _saved(archive, state, content, digest)
    except Unreadable as error:
        raise ConfigError(f"learner {file}: {error}") from None


def get(value: Any, name: str) -> Any:
    """Attribute or entry ``name`` of inert data; None when it has none."""
    state = value.state if isinstance(value, Made) else value
    if isinstance(state, tuple) and state:
        state = state[0]
    return state.get(name) if isinstance(state, dict) else None


def members(value: Any) -> list[Any]:
    """What a list, a tuple, a set or one of fastai's lists holds."""
    # A CategoryMap holds an L, which holds a list.
    for _ in range(3):
        if isinstance(value, list | tuple):
            return list(value)
        if not isinstance(value, Made):
            return []
        if value.items:
            return value.items
        within = get(value, "items")
        value = within if within is not None else (value.arguments or ([],))[0]
    return []


def _saved(archive: Archive, state: dict[Any, Any], content: Any, digest: str) -> LearnerFile:
    found = {name: archive.tensor(value) for name, value in state.items() if isinstance(name, str)}
    tensors = {name: tensor for name, tensor in found.items() if tensor is not None}
    if not tensors:
        raise Unreadable("holds no tensor; wanted what learner.save or learn.export wrote")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    left = [f"entry {name[:60]!r}: no tensor" for name, tensor in found.items() if tensor is None]
    if state is not content:
        left += [f"entry {name[:60]!r}: of the training alone" for name in content
                 if isinstance(name, str) and name != "model"]  # fmt: skip
    return LearnerFile(tensors, digest, whole=False, layers={}, leftovers=tuple(left))


def _exported(archive: Archive, learner: Any, model: Made, digest: str) -> LearnerFile:
    tensors, layers = _walk(archive, model)
    if not tensors:
        raise Unreadable("holds a model without tensors")
    architecture = get(learner, "arch")
    if isinstance(architecture, Name):
        architecture = architecture.full
    loaders = members(get(get(learner, "dls"), "loaders"))
    labels, one_label = _labels(loaders)
    return LearnerFile(
        tensors,
        digest,
        whole=True,
        layers=layers,
        architecture=architecture if isinstance(architecture, str) else None,
        labels=labels,
        one_label=one_label,
        # The first loader is the training's; both have the same transforms.
        transforms=tuple(_transforms(archive, loaders[-1])) if loaders else (),
        leftovers=tuple(_leftovers(learner)),
    )


def _walk(archive: Archive, model: Made) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors as of ``model.state_dict()``, and the class of each module, by their names."""
    tensors: dict[str, torch.Tensor] = {}
    layers: dict[str, str] = {}
    todo: list[tuple[str, Any]] = [("", model)]
    while todo:
        name, module = todo.pop()
        layers[name] = _class(module)
        unsaved = members(get(module, "_non_persistent_buffers_set"))[:MOST_STEPS]
        for place in ("_parameters", "_buffers"):
            for key, value in _named(name, get(module, place)):
                tensor = archive.tensor(value)
                if tensor is not None and key.rpartition(".")[2] not in unsaved:
                    tensors[key] = tensor
        todo += _named(name, get(module, "_modules"))
        if len(layers) + len(todo) > MOST_NAMES or len(tensors) > MOST_NAMES:
            raise Unreadable(f"holds a model of over {MOST_NAMES} modules or tensors")
    return tensors, layers


def _named(prefix: str, values: Any) -> list[tuple[str, Any]]:
    """A module's dictionary, its keys with the module's name before them."""
    if not isinstance(values, dict) or len(values) > MOST_NAMES:
        return []
    if any(len(prefix) + len(key) > LONGEST_NAME for key in values if isinstance(key, str)):
        raise Unreadable(f"holds a module with a name of over {LONGEST_NAME} letters")
    return [
        (f"{prefix}.{key}".lstrip("."), value)
        for key, value in values.items()
        if isinstance(key, str)
    ]


def _class(value: Any) -> str:
    """Class without its module; a class that the file itself brings has none."""
    kind = value.kind if isinstance(value, Made) else value.full if isinstance(value, Name) else ""
    # It is printed.
    return re.sub(r"[^\w<>]", "?", kind.rpartition(".")[2][:60]) or "a class of its own"


def _steps(pipeline: Any) -> list[Made]:
    steps = members(get(pipeline, "fs"))[:MOST_STEPS]
    return [step for step in steps if isinstance(step, Made)]


def _transforms(archive: Archive, loader: Any) -> Iterator[Transform]:
    for stage in ("after_item", "before_batch", "after_batch"):
        for step in _steps(get(loader, stage)):
            settings = {name: get(step, name) for name in SETTINGS}
            for name in ("mean", "std"):
                tensor = archive.tensor(settings[name])
                if tensor is not None:
                    settings[name] = tensor.flatten()[:8].tolist()
            yield Transform(_class(step), settings)


def _labels(loaders: list[Any]) -> tuple[tuple[str, ...] | None, bool]:
    """The labels in order, and whether a picture has one of them; (None, False) if not told."""
    for loader in loaders:
        for lists in members(get(get(loader, "dataset"), "tls")):
            for step in _steps(get(lists, "tfms")):
                if _class(step) in LABELLERS:
                    labels = members(get(step, "vocab"))
                    if not 0 < len(labels) <= MOST_LABELS or not all(map(_is_label, labels)):
                        raise Unreadable("names its labels neither by texts nor by numbers")
                    return tuple(map(str, labels)), _class(step) == "Categorize"
    return None, False


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int) and len(str(value)) <= LONGEST_NAME


def _leftovers(learner: Any) -> Iterator[str]:
    yield f"loss function {_class(get(learner, 'loss_func'))}"
    yield f"optimizer {_class(get(learner, 'opt_func'))}"
    for metric in members(get(learner, "_metrics"))[:MOST_STEPS]:
        yield f"metric {_class(get(metric, 'func') or metric)}"
    for callback in members(get(learner, "cbs"))[:MOST_STEPS]:
        if _class(callback) not in OWN_CALLBACKS:
            yield f"callback {_class(callback)}"

"""Filling a detector with pretrained weights: which tensor of a file goes where.

Files name their tensors in several ways: as the model does, under a wrapper's prefix
(``module.``), as the bare backbone (timm's names), or, where Detectron2's zoo says so
(``matching_heuristics``), by the ends of the model's names, after Caffe2's were renamed. What fits
in name and shape is taken. The layers whose size is the number of categories or anchors may differ:
they keep fresh weights and are learnt anew. The backbone must be whole.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from detectron2.checkpoint.c2_model_loading import convert_c2_detectron_names
from detectron2.layers import FrozenBatchNorm2d
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.training.weight_files import Weights, read_safetensors

HEADS = re.compile(
    r".*(cls_score|bbox_pred|mask_head\.predictor|objectness_logits|anchor_deltas)\.(weight|bias)"
)
"""Layers with an output for each category or anchor, or a multiple of it."""

WRAPPERS = ("", "module.", "model.", "_orig_mod.", "module.model.", "backbone.", "module.backbone.")
"""What stands before the names in a file."""

PLACES = ("", "backbone.bottom_up.net.", "backbone.bottom_up.", "backbone.",
          "backbone.bottom_up.net.model.")  # fmt: skip
"""Where in a detector a file's network belongs."""


@dataclass(frozen=True)
class Match:
    """Where a file's tensors go. Names are the model's, but for ``unused``: the file's."""

    tensors: dict[str, torch.Tensor]
    """What fits, in the file's precision."""
    sources: dict[str, str]
    """Its name in the file."""
    differing: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    """Shapes in the file and in the model, where they are not the same; these stay fresh."""
    missing: list[str]
    """Tensors of the model that the file lacks; these stay fresh."""
    unused: list[str]
    """What the file has besides."""

    @property
    def unexpected(self) -> list[str]:
        """Differing tensors for which the number of categories or anchors is no reason."""
        return [name for name, (theirs, ours) in self.differing.items()
                if not HEADS.fullmatch(name) or theirs[1:] != ours[1:]]  # fmt: skip


def load_pretrained(model: nn.Module, file: Path) -> Match:
    """Fill ``model`` in place with a safetensors file; half precision is widened.

    ``file`` is of ``jobs/import_weights.py``, of a bundle or training, or a bare backbone with
    timm's names. Category heads of another size stay fresh, which the `Match` tells; raises
    `ConfigError` when any other tensor differs in shape, or the backbone is not whole.
    """
    match = match_weights(model, Weights(read_safetensors(file)), file)
    if match.unexpected:
        told = "; ".join(
            f"{name} is {match.differing[name][0]} in the file, {match.differing[name][1]} in the "
            "model" for name in match.unexpected[:3]
        )  # fmt: skip
        raise ConfigError(
            f"weights {file}: {len(match.unexpected)} tensors differ in shape from the model of "
            f"the config: {told}. Train with the config that the file was made for"
        )
    model.load_state_dict(match.tensors, strict=False)
    return match


def match_weights(model: nn.Module, weights: Weights, file: Path) -> Match:
    """Match ``weights`` (of ``file``, for errors) to ``model``, which stays as it is.

    Raises `ConfigError` when the model's backbone is not whole in the file, when a name is
    ambiguous, or when a weight is no finite number.
    """
    wanted = model.state_dict()
    sources, tensors = _pairs(wanted, weights, file)
    # In the model's order: that of a safetensors file is arbitrary.
    tensors = {name: tensors[name] for name in wanted if name in tensors}
    fits = {n: t for n, t in tensors.items() if t.shape == wanted[n].shape}
    match = Match(
        tensors=fits,
        sources={name: sources[name] for name in fits},
        differing={
            n: (tuple(t.shape), tuple(wanted[n].shape)) for n, t in tensors.items() if n not in fits
        },
        missing=[name for name in wanted if name not in tensors],
        unused=sorted({*weights.tensors, *weights.others} - set(sources.values())),
    )
    _check_backbone(model, weights, match, file)
    wrong = [name for name, tensor in match.tensors.items() if not tensor.isfinite().all()]
    if wrong:
        raise ConfigError(
            f"weights {file}: {len(wrong)} tensors hold infinite numbers or NaN: {wrong[:3]}; get "
            "the file again"
        )
    return match


def reverse_channels(match: Match, model: nn.Module) -> str:
    """Make weights learnt on BGR pictures those of a model that sees RGB; the layer's name.

    Turns the three input channels of the backbone's first convolution around, in ``match``.
    """
    for name, tensor in model.state_dict().items():
        if name.startswith("backbone.") and tensor.ndim == 4 and tensor.shape[1] == 3:
            if name in match.tensors:
                match.tensors[name] = match.tensors[name].flip(1)
                return name
    raise ConfigError("--bgr: no convolution of the backbone reads three channels; leave it out")


def _pairs(
    wanted: dict[str, torch.Tensor], weights: Weights, file: Path
) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    """By the model's names: the file's name and tensor, whatever its shape."""
    if not weights.by_suffix:
        sources = _by_prefix(wanted, weights.tensors)
        return sources, {name: weights.tensors[source] for name, source in sources.items()}
    tensors, originals = weights.tensors, {name: name for name in weights.tensors}
    if weights.caffe2:
        try:
            tensors, originals = convert_c2_detectron_names(tensors)
        # It takes names apart, and scalars where it expects layers.
        except (AssertionError, IndexError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"weights {file}: names are not those of Caffe2's Detectron ({error!r})"
            ) from None
    renamed = _by_suffix(wanted, tensors, file)
    return (
        {name: originals[source] for name, source in renamed.items()},
        {name: tensors[source] for name, source in renamed.items()},
    )


def _by_prefix(
    wanted: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor]
) -> dict[str, str]:
    """The pairs of one wrapper and one place, those with which the most tensors fit."""
    # timm's feature networks write stages_0 where the whole network has stages.0.
    keys = {name.replace(".", "_"): name for name in wanted}
    best: dict[str, str] = {}
    most = (0, 0)
    for wrapper in WRAPPERS:
        inner = {n.removeprefix(wrapper): n for n in tensors if n.startswith(wrapper)}
        for place in PLACES:
            pairs = {
                keys[key]: source
                for name, source in inner.items()
                if (key := (place + name).replace(".", "_")) in keys
            }
            fit = sum(tensors[source].shape == wanted[name].shape for name, source in pairs.items())
            if (fit, len(pairs)) > most:
                best, most = pairs, (fit, len(pairs))
    return best


def _by_suffix(
    wanted: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor], file: Path
) -> dict[str, str]:
    """Each name's longest end (of whole parts) that the file has, as Detectron2 matches."""
    found: dict[str, str] = {}
    owners: dict[str, str] = {}
    for name, tensor in wanted.items():
        source = next((end for end in _ends(name) if end in tensors), None)
        if source is None:
            continue
        if tensors[source].shape == tensor.shape and owners.setdefault(source, name) != name:
            raise ConfigError(
                f"weights {file}: {source!r} could be {owners[source]} and {name}; the config does "
                "not fit the file"
            )
        found[name] = source
    return found


def _ends(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[i:]) for i in range(len(parts)))


def _check_backbone(model: nn.Module, weights: Weights, match: Match, file: Path) -> None:
    prefix = "backbone.bottom_up." if hasattr(model.backbone, "bottom_up") else "backbone."
    needed = set(_needed(model, prefix))
    lacking = sorted(needed - set(match.tensors))
    if not lacking:
        return
    counts = f"{len(needed) - len(lacking)} of the backbone's {len(needed)} tensors"
    raise ConfigError(
        f"weights {file}: {counts} match the model of the config, wanted all: "
        + "; ".join(_nearest(name, model, weights, match) for name in lacking[:3])
        + ". Give the config, or the backbone, that the file was made for"
    )


def _needed(model: nn.Module, prefix: str) -> Iterator[str]:
    """Names of the backbone's tensors that do not have a meaning when fresh."""
    frozen = {name for name, module in model.named_modules()
              if isinstance(module, FrozenBatchNorm2d)}  # fmt: skip
    for name in model.state_dict():
        layer, _, kind = name.rpartition(".")
        # Old files fold the statistics of a frozen norm into its weight and bias.
        folded = layer in frozen and kind in ("running_mean", "running_var")
        if name.startswith(prefix) and kind != "num_batches_tracked" and not folded:
            yield name


def _nearest(name: str, model: Any, weights: Weights, match: Match) -> str:
    if name in match.differing:
        theirs, ours = match.differing[name]
        return f"{name} is {theirs} in the file, {ours} in the model"
    near = difflib.get_close_matches(name, weights.tensors, n=1, cutoff=0.0)
    shapes = tuple(model.state_dict()[name].shape), tuple(weights.tensors[near[0]].shape)
    return f"{name} {shapes[0]} is not in the file, whose nearest name is {near[0]!r} {shapes[1]}"

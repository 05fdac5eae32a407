"""A fastai learner's tensors in the network of `fastai_head`: which goes where.

The body is torchvision's ResNet cut by fastai, whose parts are numbered, or a timm network in
fastai's wrapper. The head is the one of ``vision_learner`` (and of v1's ``cnn_learner``), whose
layers are numbered too. Every tensor has to fit in name and shape; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from jeans_udf.errors import ConfigError
from jeans_udf.models.classifier import check_backbone
from jeans_udf.models.fastai_head import FastaiNet
from jeans_udf.training.learner_file import LearnerFile

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
"""torchvision's that timm has under the same names, with the same layers."""
CUT = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
"""Parts of torchvision's ResNet with tensors, by their places once fastai has cut it."""
HEAD = ("norm1", "linear1", "norm2", "linear2")
"""Of `FastaiHead`, the layers with tensors in order."""
HEAD_LAYERS = ("BatchNorm1d", "Linear", "ReLU", "BatchNorm1d", "Linear")
"""Their classes in an exported learner, and what stands between them at inference."""
POOLING = "AdaptiveConcatPool2d"
IDLE = ("Dropout", "Flatten", "Identity")
"""Layers of the head that change nothing at inference."""
INSTEAD = (
    "Train it with vision_learner(dls, 'NAME') for a network of timm and its default head, or with "
    "jobs/train_classifier.py"
)


def find_backbone(learner: LearnerFile, wanted: str | None) -> str:
    """The timm network that the learner's body is, ``wanted`` or found; `ConfigError` if none."""
    if wanted is not None:
        check_backbone(wanted)
        return wanted
    names = [name for name in learner.tensors if name.startswith("0.")]
    if names and all(name.startswith("0.model.") for name in names):
        if learner.architecture is None:
            raise ConfigError(
                "backbone: the learner's body is a timm network, and the file does not tell which; "
                "give --backbone with its name"
            )
        check_backbone(learner.architecture)
        return learner.architecture
    body = _body(learner)
    for name in RESNETS:
        if not _differences(_meta(name).body.state_dict(), body):
            return name
    told = f" (the file says {learner.architecture[:80]!r})" if learner.architecture else ""
    raise ConfigError(
        f"backbone: the learner's body{told} is none that can be imported: torchvision's "
        f"{', '.join(RESNETS)}, or a network of timm. {INSTEAD}"
    )


def import_tensors(
    learner: LearnerFile, backbone: str, order: Sequence[int]
) -> dict[str, torch.Tensor]:
    """The state dict of `FastaiNet`; outputs are put in ``order`` (places in the learner's).

    Half precision is widened. Raises `ConfigError` unless all tensors fit and are finite.
    """
    net = FastaiNet(backbone, len(order)).eval()
    head = _head(learner, pooled=net.pooled)
    for name in ("linear2.weight", "linear2.bias"):
        if len(head[name]) != len(order):
            raise ConfigError(
                f"labels: the learner has {len(head[name])} outputs, wanted one for each of the "
                f"{len(order)} labels"
            )
        head[name] = head[name][list(order)]
    for part, tensors in (("body", _body(learner)), ("head", head)):
        faults = _differences(getattr(net, part).state_dict(), tensors)
        if faults:
            raise ConfigError(
                f"{part}: the learner's does not fit {backbone} with fastai's head: {len(faults)} "
                f"tensors differ: {'; '.join(faults[:3])}. {INSTEAD}"
            )
        wrong = [name for name, tensor in tensors.items() if not tensor.isfinite().all()]
        if wrong:
            raise ConfigError(f"{part}: {len(wrong)} tensors hold infinite numbers or NaN: "
                              f"{wrong[:3]}; get the file again")  # fmt: skip
        getattr(net, part).load_state_dict(tensors, strict=False)
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def _body(learner: LearnerFile) -> dict[str, torch.Tensor]:
    """The body's tensors by timm's names."""
    body = {n.removeprefix("0."): t for n, t in learner.tensors.items() if n.startswith("0.")}
    if body and all(name.startswith("model.") for name in body):
        return {name.removeprefix("model."): tensor for name, tensor in body.items()}
    renamed = {}
    for name, tensor in body.items():
        place, _, rest = name.partition(".")
        # A part that has no place in a ResNet keeps its number, and is told as a difference.
        renamed[f"{CUT.get(place, place)}.{rest}"] = tensor
    return renamed


def _head(learner: LearnerFile, *, pooled: bool) -> dict[str, torch.Tensor]:
    """The head's tensors by the names of `FastaiHead`; biases are zero where there are none."""
    _check_layers(learner.layers, pooled=pooled)
    layers: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in learner.tensors.items():
        if name.startswith("0."):
            continue
        match name.split("."):
            case ["1", place, kind] if place.isdecimal() and len(place) < 4:
                layers.setdefault(int(place), {})[kind] = tensor
            case _:
                raise ConfigError(
                    f"head: the learner has a tensor {name[:80]!r}, which fastai's default head "
                    f"has not. {INSTEAD}"
                )
    kinds = ["norm" if "running_mean" in layer else "linear" for _, layer in sorted(layers.items())]
    if kinds != ["norm", "linear", "norm", "linear"]:
        raise ConfigError(
            f"head: the learner's layers with tensors are {', '.join(kinds) or 'none'}; wanted "
            f"norm, linear, norm, linear, fastai's default. {INSTEAD}"
        )
    named = dict(zip(HEAD, (layer for _, layer in sorted(layers.items())), strict=True))
    for name in ("linear1", "linear2"):
        weight = named[name].get("weight", torch.zeros(0))
        named[name].setdefault("bias", torch.zeros(len(weight)))
    return {f"{n}.{kind}": t for n, layer in named.items() for kind, t in layer.items()}


def _check_layers(layers: Mapping[str, str], *, pooled: bool) -> None:
    """Raise `ConfigError` unless an exported learner's head does what `FastaiHead` does."""
    if not layers:
        return  # of tensors alone nothing is known
    places = {name.removeprefix("1."): kind for name, kind in layers.items()
              if name.startswith("1.")}  # fmt: skip
    # What lies within the pooling is its own.
    outer = sorted((int(place), kind) for place, kind in places.items() if place.isdecimal())
    got = [kind for _, kind in outer if kind not in IDLE]
    wanted = list(HEAD_LAYERS) if pooled else [POOLING, *HEAD_LAYERS]
    if got != wanted:
        raise ConfigError(
            f"head: the learner's is {', '.join(got) or 'none'}; wanted {', '.join(wanted)}, "
            f"fastai's default. {INSTEAD}"
        )


def _differences(
    wanted: Mapping[str, torch.Tensor], got: Mapping[str, torch.Tensor]
) -> list[str]:
    """What keeps ``got`` from being ``wanted``, name by name."""
    faults = []
    for name in sorted({*wanted, *got}):
        if name not in wanted:
            faults.append(f"{name[:80]} is the learner's alone")
        elif name not in got:
            # Counters of batches came with later versions of torch; inference needs none.
            if not name.endswith("num_batches_tracked"):
                faults.append(f"{name} is not in the learner")
        elif wanted[name].shape != got[name].shape:
            faults.append(f"{name} is {tuple(got[name].shape)} in the learner, "
                          f"wanted {tuple(wanted[name].shape)}")  # fmt: skip
    return faults


def _meta(backbone: str) -> FastaiNet:
    """The network without memory, for its names and shapes."""
    with torch.device("meta"):
        return FastaiNet(backbone, 1)

"""What a learner's transforms let its network see, in the terms of a classifier's spec."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jeans_udf.errors import ConfigError
from jeans_udf.training.inert_pickle import Made
from jeans_udf.training.learner_file import LearnerFile, Transform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""fastai's ``imagenet_stats``, which its learners normalise by unless told otherwise."""

AUGMENTATIONS = frozenset(
    "FlipItem DihedralItem Flip Dihedral Rotate Zoom Warp Brightness Contrast Saturation Hue "
    "RandomErasing AffineCoordTfm LightingTfm SpaceTfm HSVTfm".split()
)
"""fastai's transforms of training pictures; validation pictures are at most scaled by them."""
SCALING = {
    "Resize": "",
    "RandomResizedCrop": "scaled, and its edges cut off",
    "RandomResizedCropGPU": "scaled, and its edges cut off",
    "CropPad": "its middle alone, unscaled",
    "RandomCrop": "its middle alone, unscaled",
    "OldRandomCrop": "its middle alone, unscaled",
    "RatioResize": "scaled to a size of its own",
}
"""Transforms that make the square, and what they make of a validation picture."""
RESIZES = {
    "crop": "cut to its middle square",
    "squish": "squeezed to a square",
    "pad": "padded to a square",
}
PLAIN = ("ToTensor", "IntToFloatTensor", "Normalize")


@dataclass
class Sight:
    """Size and colours of a network's input, as in `ClassifierSpec`, and what was made of it."""

    size: int
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    mapped: list[str] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)


def sight_of(learner: LearnerFile, size: int | None) -> Sight:
    """What ``learner`` saw; ``size`` (pixels) goes before what its file says of it.

    A file of tensors alone says nothing: it is taken to have seen pictures normalised as ImageNet's
    are. Raises `ConfigError` when nothing tells the size.
    """
    told = _side(learner.transforms)
    if size is None and told is None:
        raise ConfigError(
            "size: the learner's file does not tell what size of pictures it saw; give --size, in "
            "pixels (the last one that it was trained at)"
        )
    sight = Sight(size or told or 0)
    sight.mapped.append(f"pictures of {sight.size} x {sight.size} pixels")
    if not learner.whole:
        sight.mean, sight.std = IMAGENET_MEAN, IMAGENET_STD
        sight.unmapped.append(
            "transforms: the file holds tensors alone; taken to be normalised by ImageNet's "
            "statistics, as fastai does unless told otherwise"
        )
    else:
        _normalise(sight, learner.transforms)
    for transform in learner.transforms:
        _tell(sight, transform)
    sight.unmapped.append(
        "the learner's own pictures: the job shows it each garment alone, its aspect kept, on a "
        "grey square"
    )
    return sight


def _normalise(sight: Sight, transforms: Sequence[Transform]) -> None:
    divisor = 255.0
    for transform in transforms:
        settings = transform.settings
        if transform.name == "IntToFloatTensor" and isinstance(settings["div"], float | int):
            divisor = float(settings["div"])
        if transform.name == "Normalize":
            mean, std = settings["mean"], settings["std"]
            if not (_triple(mean) and _triple(std)):
                raise ConfigError(
                    "Normalize: got statistics that are no three numbers of mean and deviation; "
                    "wanted those of RGB pictures"
                )
            sight.mean, sight.std = tuple(mean), tuple(std)
            sight.mapped.append(f"Normalize: mean {_short(mean)}, deviation {_short(std)}")
            break
    else:
        sight.mapped.append("no Normalize: values of 0 to 1")
    # The spec's are for values of 0 to 1; the file's have single precision.
    sight.mean = tuple(round(value * divisor / 255, 7) for value in sight.mean)
    sight.std = tuple(round(value * divisor / 255, 7) for value in sight.std)
    if not min(sight.std) > 0 or not math.isfinite(divisor):
        raise ConfigError(f"Normalize: got the deviations {sight.std}, wanted numbers above 0")


def _tell(sight: Sight, transform: Transform) -> None:
    name, settings = transform.name, transform.settings
    if name in AUGMENTATIONS:
        sight.mapped.append(f"{name}: of training alone, left out")
    elif name in SCALING:
        method = settings["method"] if isinstance(settings["method"], str) else ""
        made = SCALING[name] or RESIZES.get(method, "made a square in an unknown way")
        sight.unmapped.append(f"{name}: the picture was {made}; the job pads with grey")
    elif name not in PLAIN:
        sight.unmapped.append(f"{name}: unknown transform, left out")


def _side(transforms: Sequence[Transform]) -> int | None:
    """The longest side of the last size that a transform makes."""
    for transform in reversed(transforms):
        size: Any = transform.settings["size"]
        if isinstance(size, Made) and size.arguments:
            size = size.arguments[0]  # fastai's own tuple
        sides = size if isinstance(size, tuple | list) else (size,)
        if sides and all(type(side) is int and 0 < side <= 4096 for side in sides):
            return int(max(sides))
    return None


def _triple(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) == 3
        and all(isinstance(value, float) and abs(value) < 1e6 for value in values)
    )


def _short(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3g}" for value in values)

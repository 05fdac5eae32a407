"""How a classifier is trained: the files of ``conf/classifiers``.

A recipe is a course of phases, each some one-cycle epochs at one size, with the pretrained body
frozen or not; what the network sees; its loss; its augmentations.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from jeans_udf.conf_files import CONF
from jeans_udf.config import Section
from jeans_udf.errors import ConfigError, near_miss
from jeans_udf.models.views import View

FOLDER = CONF / "classifiers"


class _Numbers(Section):
    """Settings whose numbers are finite."""

    model_config = ConfigDict(allow_inf_nan=False)


class Augmentation(_Numbers):
    """Arguments of fastai's ``aug_transforms``."""

    flip: bool = True
    """Mirror left and right."""
    flip_vert: bool = False
    """And upside down, and by quarter turns."""
    max_rotate: float = Field(10.0, ge=0, le=180)
    """Degrees."""
    min_zoom: float = Field(1.0, gt=0)
    """Least scale; below 1 shrinks."""
    max_zoom: float = Field(1.1, gt=0)
    """Greatest scale."""
    max_lighting: float = Field(0.2, ge=0, lt=1)
    """Of brightness and contrast."""
    max_warp: float = Field(0.2, ge=0, lt=1)
    """Of perspective."""
    p_affine: float = Field(0.75, ge=0, le=1)
    """Chance of each change of shape."""
    p_lighting: float = Field(0.75, ge=0, le=1)
    """Chance of each change of light."""
    pad_mode: Literal["reflection", "border", "zeros"] = "reflection"
    """What lies beyond the edges."""

    def arguments(self) -> dict[str, Any]:
        """For `aug_transforms`."""
        named = self.model_dump()
        return {("do_flip" if key == "flip" else key): named[key] for key in named}


class Phase(_Numbers):
    """Some epochs of one-cycle training."""

    epochs: int = Field(gt=0)
    """Passes over the crops."""
    size: int = Field(gt=0)
    """Side of the network's input in pixels; smaller than what was cut, it is scaled down."""
    frozen: bool = False
    """Train the head alone (batch norms go on)."""
    rate: Annotated[float, Field(gt=0)] | Literal["find", "found"] = Field()
    """Peak learning rate of the last layers; ``find`` runs fastai's finder, ``found`` takes what
    the last one found."""
    divide: float = Field(1.0, gt=0)
    """The rate is divided by it."""
    lowest: float | None = Field(None, gt=0)
    """Peak rate of the first layers, as in ``slice(lowest, rate)``; None: a tenth of the last
    one's for all but these, as in ``slice(rate)``."""
    pct_start: float = Field(0.25, gt=0, lt=1)
    """Share of the steps before the peak."""
    div: float = Field(25.0, ge=1)
    """The first rate is the peak's by this part."""


class ClassifierRecipe(_Numbers):
    """One file of ``conf/classifiers``."""

    about: str
    """What it is, for people."""
    backbone: str = "tf_efficientnet_lite0"
    """A timm network."""
    head: Literal["linear", "fastai"] = "linear"
    """One linear layer, or fastai's: concat pool, 512 hidden units, dropout."""
    drop_rate: float = Field(0.0, ge=0, lt=1)
    """Dropout before a linear head's layer."""
    freeze_first: int = Field(0, ge=0)
    """How many first parts stay as pretrained in every phase: 1 = the stem, 2 = and a stage, …"""
    view: View = "masked"
    """What it sees of a garment: alone on grey; its surroundings ``dimmed``; all within its
    ``box``; the box with a ``margin``."""
    other_views: tuple[View, ...] = ()
    """Views that half of the training crops are shown in instead, by chance: what they have in
    common is the garment."""
    cut_size: int = Field(224, gt=0)
    """Side of the square in pixels that crops are cut to, aspect kept."""
    loss: Literal["groups", "binary"] = "groups"
    """Softmax within exclusive groups and sigmoid for the others, or sigmoid for every label."""
    smoothing: float = Field(0.0, ge=0, lt=1)
    """Label smoothing within exclusive groups."""
    balance: float = Field(0.0, ge=0, le=1)
    """Rare labels weigh more: by (frequency ** -balance), 0 = all the same."""
    weight_decay: float = Field(0.01, ge=0)
    """Decoupled, of fastai's Adam."""
    batch_size: int = Field(64, gt=0)
    """Crops a step."""
    threshold: float = Field(0.5, gt=0, lt=1)
    """Of the metrics that are told while training (``accuracy_multi``, F-beta); the thresholds that
    ship are fitted on the validation crops."""
    augment: Augmentation = Augmentation()
    members: int = Field(1, gt=0)
    """How often it is trained, each time in another order from the same weights; the mean of their
    weights is what ships."""
    mirrored: bool = False
    """At tagging, the mean of what it says of a crop and of its mirror image."""
    phases: tuple[Phase, ...] = Field(min_length=1)

    @property
    def has_verdict(self) -> bool:
        """Whether the network also judges the category, and that a crop shows no garment."""
        return self.loss == "groups"

    @model_validator(mode="after")
    def _rates_follow(self) -> ClassifierRecipe:
        known = False
        for number, phase in enumerate(self.phases, start=1):
            known |= phase.rate == "find"
            if phase.rate == "found" and not known:
                raise ValueError(f"phase {number}: rate: found, but no phase before says find")
            if phase.size > self.cut_size:
                raise ValueError(f"phase {number}: size {phase.size} is above cut_size "
                                 f"{self.cut_size}")  # fmt: skip
        return self


def read_classifier_recipe(name: str | Path) -> ClassifierRecipe:
    """A recipe, given its file or the name of one in ``conf/classifiers``.

    Raises `ConfigError` naming the file and the key.
    """
    path = Path(name)
    if not path.suffix and not path.is_file():
        path = FOLDER / f"{name}.yaml"
        if not path.is_file():
            known = sorted(file.stem for file in FOLDER.glob("*.yaml"))
            raise ConfigError(f"classifier recipe {name!r}: {near_miss(str(name), known)}")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"recipe {path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # not UTF-8, a date of month 13
        raise ConfigError(f"recipe {path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"recipe {path}: wanted a mapping of settings")
    try:
        return ClassifierRecipe(**values)
    except (ValidationError, TypeError) as error:
        raise ConfigError(f"recipe {path}: {_first(error)}") from None


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    # A misspelt key lacks and is unknown; the unknown one tells what happened.
    faults = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    loc = faults[0]["loc"]
    if faults[0]["type"] == "extra_forbidden":
        section = SECTIONS.get(str(loc[0]), ClassifierRecipe) if loc[1:] else ClassifierRecipe
        return f"unknown key {_dotted(loc)!r}; {near_miss(str(loc[-1]), section.model_fields)}"
    # Where a number or a word may stand, both are told; what pydantic calls the two is no key.
    key = tuple(part for part in loc if isinstance(part, int) or part.isidentifier())
    wanted = " or ".join(fault["msg"] for fault in faults if fault["loc"][: len(key)] == key)
    if faults[0]["type"] in ("missing", "value_error"):
        return f"{_dotted(key)}: {wanted}" if key else wanted
    return f"{_dotted(key)}: got {str(faults[0]['input'])[:80]!r}, wanted: {wanted}"


def _dotted(key: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in key)


SECTIONS: dict[str, type[Section]] = {"augment": Augmentation, "phases": Phase}
"""Keys whose values are settings themselves, or a list of such."""

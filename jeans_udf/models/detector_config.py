"""Detectron2 configurations and weights of detectors: YAML and safetensors, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.modeling import build_model
from safetensors.torch import load_file
from torch import nn

from jeans_udf.conf_files import CONF
from jeans_udf.errors import BundleError, ConfigError, near_miss
from jeans_udf.models.backbone import add_timm_config
from jeans_udf.models.rfcn import add_rfcn_config

BACKBONES = CONF / "detectors" / "backbones"
"""The backbones that come with the product; any other is given as a path."""

CATEGORIES = "categories.json"


def read_detector_config(file: str | Path, backbone: str | Path | None = None) -> CfgNode:
    """Detectron2's defaults, our keys, the YAML of the ``backbone`` and the YAML ``file`` on top.

    ``backbone`` is a YAML or the name of one in conf/detectors/backbones; None where ``file`` says
    everything itself, as a bundle's does. Raises `ConfigError` for an unknown backbone, unknown
    keys, wrong types or a combination that the models do not have, naming the file.
    """
    cfg = get_cfg()
    add_timm_config(cfg)
    add_rfcn_config(cfg)
    if backbone is not None:
        _merge(cfg, find_backbone(backbone))
    _merge(cfg, Path(file))
    cfg.MODEL.DEVICE = "cpu"
    return cfg


def find_backbone(name_or_file: str | Path) -> Path:
    """The YAML of a backbone, given itself or its name in conf/detectors/backbones."""
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml"):
        return path
    known = sorted(file.stem for file in BACKBONES.glob("*.yaml"))
    if str(name_or_file) not in known:
        raise ConfigError(
            f"backbone {str(name_or_file)!r}: {near_miss(str(name_or_file), known)}; "
            "or give a YAML file"
        )
    return BACKBONES / f"{name_or_file}.yaml"


def set_categories(cfg: CfgNode, count: int) -> None:
    """Make every head of ``cfg`` (in place) tell ``count`` categories apart."""
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = count
    cfg.MODEL.RETINANET.NUM_CLASSES = count


def write_categories(folder: Path, categories: Sequence[str]) -> None:
    """Tell in a training's folder what the outputs of its detector mean, in order."""
    (folder / CATEGORIES).write_text(json.dumps(list(categories)) + "\n", encoding="utf-8")


def check_categories(folder: Path, categories: Sequence[str]) -> None:
    """Raise `ConfigError` when the training in ``folder`` was for other ``categories``."""
    file = folder / CATEGORIES
    if not file.is_file():
        return
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise ConfigError(f"{file}: not JSON; wanted a list of categories") from None
    if known != list(categories):
        raise ConfigError(
            f"detector {folder}: trained for the categories {known}, the vocabulary has "
            f"{list(categories)}; give the --vocabulary that it was trained with"
        )


def build_detector(cfg: CfgNode) -> nn.Module:
    """The Detectron2 model of ``cfg`` with fresh weights, on the CPU."""
    try:
        return build_model(cfg)
    except (KeyError, ValueError, AssertionError, RuntimeError) as error:
        raise ConfigError(
            f"detector config: Detectron2 cannot build {cfg.MODEL.META_ARCHITECTURE}: {error}"
        ) from None


def load_weights(model: nn.Module, file: str | Path) -> None:
    """Fill every tensor of ``model`` from a safetensors file; half precision is widened."""
    try:
        tensors = load_file(str(file))
        model.load_state_dict({name: t.float() if t.is_floating_point() else t
                               for name, t in tensors.items()})
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(f"weights {file}: do not fit the model of the config: {first}") from None


def _merge(cfg: CfgNode, file: Path) -> None:
    # Not Detectron2's merge_from_file: that follows _BASE_ to any file or address.
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("wanted keys of Detectron2's configuration")
        if values.get("VERSION", 2) != 2:
            raise ValueError(f"VERSION: got {values['VERSION']}, wanted Detectron2's present 2")
        if "_BASE_" in values:
            raise ValueError("_BASE_ is not followed; --backbone lays a file on another")
        cfg.merge_from_other_cfg(CfgNode(values))
    except (KeyError, ValueError, AssertionError, OSError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"detector config {file}: {error}") from None

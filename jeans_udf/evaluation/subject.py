"""What is judged: the output folder of a training, or a bundle with its whole pass."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode

from jeans_udf.bundle import open_bundle
from jeans_udf.config import Detection, Device, TaggingConfig
from jeans_udf.errors import ConfigError
from jeans_udf.models.detector import Detector, open_detector
from jeans_udf.models.detector_config import check_categories, read_detector_config
from jeans_udf.tagger import Tagger

LEAST_SCORE = 0.05
"""Detections below are not looked at; curves and AP need those below the model's threshold too."""


@dataclass(frozen=True)
class About:
    """What a comparison says of a detector beside its figures."""

    architecture: str
    backbone: str
    parameters: int
    """Of the detector, with its proposal network if that is another."""
    longest_side: int
    """Pixels that a photo's longer side is scaled to."""
    training_seconds: float | None = None
    training_cpu_seconds: float | None = None


@dataclass(frozen=True)
class Subject:
    """A detector ready to be judged; with a ``tagger``, the bundle's whole pass is."""

    name: str
    categories: tuple[str, ...]
    detector: Detector
    thresholds: Mapping[int, float]
    """Least score of a garment by category id (from 1): where errors are looked at."""
    about: About
    tagger: Tagger | None = None


def open_run(
    folder: Path, categories: Sequence[str], device: torch.device, threshold: float
) -> Subject:
    """The detector that `train_detector.py` wrote to ``folder``.

    Raises `ConfigError` or `BundleError` for a folder without one, or one of other categories.
    """
    if not (folder / "detector.yaml").is_file():
        raise ConfigError(
            f"detector {folder}: holds no detector.yaml; wanted the --output folder of a finished "
            "jobs/train_detector.py"
        )
    cfg = read_detector_config(folder / "detector.yaml")
    check_categories(folder, categories)
    detector = open_detector(folder, device, score_threshold=LEAST_SCORE)
    known = classes(cfg)
    if not detector.is_proposer and known != len(categories):
        raise ConfigError(
            f"detector {folder}: knows {known} categories, the vocabulary {len(categories)}; "
            "give the --vocabulary that it was trained with"
        )
    times = training_times(_json(folder / "metrics.json"), folder / "history.jsonl")
    return Subject(
        name=folder.resolve().name,
        categories=tuple(categories),
        detector=detector,
        thresholds={k + 1: threshold for k in range(len(categories))},
        about=_about(cfg, detector, times),
    )


def open_bundle_subject(name: str, device: torch.device) -> Subject:
    """The whole pass of a bundle, given its directory or the name of one that is shipped."""
    bundle = open_bundle(name)
    # In torch, as the trainings that it is compared with.
    config = TaggingConfig(
        detection=Detection(score_threshold=LEAST_SCORE), device=Device(engine="torch")
    )
    tagger = Tagger(bundle, config, device)
    spec = bundle.manifest.detector
    own = spec.category_thresholds
    cfg = read_detector_config(bundle.path(spec.config))
    metrics = _json(bundle.path("metrics.json")).get("detector_alone", {})
    categories = bundle.vocabulary.categories
    return Subject(
        name=bundle.manifest.name,
        categories=categories,
        detector=tagger.detector,
        thresholds={
            k: own.get(category, spec.score_threshold) for k, category in enumerate(categories, 1)
        },
        about=_about(cfg, tagger.detector, training_times(metrics, Path())),
        tagger=tagger,
    )


def architecture(cfg: CfgNode) -> str:
    """The common name of what a Detectron2 configuration builds."""
    model = cfg.MODEL
    if model.META_ARCHITECTURE != "GeneralizedRCNN":
        return {"ProposalNetwork": "RPN"}.get(model.META_ARCHITECTURE, model.META_ARCHITECTURE)
    if model.PROPOSAL_GENERATOR.NAME == "PrecomputedProposals":
        return "Fast R-CNN"
    heads = {"PositionSensitiveROIHeads": "R-FCN", "CascadeROIHeads": "Cascade R-CNN"}
    return heads.get(model.ROI_HEADS.NAME, "Mask R-CNN" if model.MASK_ON else "Faster R-CNN")


def backbone(cfg: CfgNode) -> str:
    """``tf_efficientnet_lite0``, ``ResNet-50``, or the builder's name."""
    name = str(cfg.MODEL.BACKBONE.NAME)
    below = cfg.MODEL.PYRAMID.BOTTOM_UP if name == "build_pyramid_backbone" else name
    if "timm" in below:
        return str(cfg.MODEL.TIMM.NAME)
    return f"ResNet-{cfg.MODEL.RESNETS.DEPTH}" if "resnet" in below else name


def classes(cfg: CfgNode) -> int:
    """Categories that the configuration's heads tell apart."""
    model = cfg.MODEL
    dense = model.META_ARCHITECTURE == "RetinaNet"
    return int(model.RETINANET.NUM_CLASSES if dense else model.ROI_HEADS.NUM_CLASSES)


def training_times(metrics: Mapping[str, Any], history: Path) -> dict[str, float]:
    """``training_seconds`` and ``training_cpu_seconds``, where the files tell them."""
    told = dict(metrics)
    if history.is_file():
        for line in history.read_text(encoding="utf-8", errors="replace").splitlines()[-1:]:
            told = _parsed(line) | told
    names = ("training_seconds", "training_cpu_seconds")
    return {name: float(told[name]) for name in names if isinstance(told.get(name), int | float)}


def _about(cfg: CfgNode, detector: Detector, times: Mapping[str, float]) -> About:
    return About(
        architecture=architecture(cfg),
        backbone=backbone(cfg),
        parameters=detector.parameters,
        longest_side=detector.longest_side,
        **times,
    )


def _json(file: Path) -> dict[str, Any]:
    """What a metrics file says, nothing if it is missing or broken: it only adds to a table."""
    return _parsed(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else {}


def _parsed(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}

"""A bundle's models made ready: Detectron2 and timm networks, convolutions by an engine."""

from __future__ import annotations

from typing import Any

import torch

from jeans_udf.bundle import Bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.engines.engine import Engine
from jeans_udf.engines.parts import hand_over, handed
from jeans_udf.models.classifier import Classifier, build_classifier
from jeans_udf.models.combination import Combination
from jeans_udf.models.detector import Detector, count_parameters, open_proposer
from jeans_udf.models.detector_config import build_detector, load_weights, read_detector_config
from jeans_udf.models.folding import folded
from jeans_udf.models.mirrored import Mirrored
from jeans_udf.thresholds import detection_thresholds


def load_detector(
    bundle: Bundle, config: TaggingConfig, device: torch.device, engine: Engine
) -> Detector:
    """The bundle's detector on ``device``, its convolutions run by ``engine``."""
    spec = bundle.manifest.detector
    cfg = read_detector_config(bundle.path(spec.config))
    model = build_detector(cfg)
    load_weights(model, bundle.path(spec.weights))
    backbone: Any = model.backbone
    if hasattr(backbone, "bottom_up"):
        backbone.bottom_up = folded(backbone.bottom_up)
    proposer = None
    if spec.proposer_config and spec.proposer_weights:
        proposer = open_proposer(
            bundle.path(spec.proposer_config), bundle.path(spec.proposer_weights)
        )
    parameters = count_parameters(model, proposer)
    if proposer is not None:
        hand_over(proposer.eval(), engine, "proposer_")
    hand_over(model.eval(), engine)
    thresholds = detection_thresholds(bundle, config)
    return Detector(
        model,
        longest_side=cfg.INPUT.MAX_SIZE_TEST,
        score_threshold=min(thresholds.values()),
        category_thresholds=dict(enumerate(thresholds.values())),
        max_garments=config.detection.max_garments,
        device=device,
        proposer=proposer,
        parameters=parameters,
    )


def load_combination(bundle: Bundle) -> Combination | None:
    """How the bundle's two models decide together; None where the detector decides alone."""
    spec = bundle.manifest.combination
    if spec is None or not bundle.manifest.classifier.verdict:
        return None
    return Combination(spec.detector, spec.classifier, spec.none_bias)


def load_classifier(bundle: Bundle, device: torch.device, engine: Engine) -> Classifier:
    """The bundle's classifier on ``device``, run by ``engine``."""
    spec = bundle.manifest.classifier
    model = build_classifier(
        spec.backbone, bundle.vocabulary, head=spec.head, verdict=spec.verdict
    )
    load_weights(model, bundle.path(spec.weights))
    net = folded(model)
    net = Mirrored(net).eval() if spec.mirrored else net
    trial = torch.zeros(2, 3, spec.input_size or spec.size, spec.input_size or spec.size)
    return Classifier(
        handed(net, engine, "classifier", (trial,), any_size=False),
        bundle.vocabulary,
        view=spec.view,
        size=spec.size,
        input_size=spec.input_size,
        mean=spec.mean,
        std=spec.std,
        temperatures=spec.temperatures,
        thresholds=spec.thresholds,
        device=device,
        verdict=spec.verdict,
        scoring=spec.scores,
    )

"""Least scores that a bundle and a configuration ask for, and what makes two detectors the same."""

from __future__ import annotations

import hashlib
import json

from jeans_udf.bundle import Bundle
from jeans_udf.config import TaggingConfig


def final_thresholds(bundle: Bundle, config: TaggingConfig) -> dict[str, float]:
    """Category -> least score of a garment in the tables, in the vocabulary's order."""
    spec, given = bundle.manifest.detector, config.detection.score_threshold
    own = {} if given is not None else spec.category_thresholds
    common = spec.score_threshold if given is None else given
    return {name: own.get(name, common) for name in bundle.vocabulary.categories}


def detection_thresholds(bundle: Bundle, config: TaggingConfig) -> dict[str, float]:
    """Category -> least score of a detection that the classifier is shown."""
    thresholds = final_thresholds(bundle, config)
    combination = bundle.manifest.combination
    if combination is not None:
        # What the detector alone is less sure of may still be kept.
        thresholds = dict.fromkeys(thresholds, min(combination.least_score, *thresholds.values()))
    return thresholds


def detector_identity(bundle: Bundle, config: TaggingConfig) -> str:
    """16 hex digits, equal where the same pixels give the same detections.

    Bundles with the same detector and another classifier share it: what was detected with one of
    them need not be detected again for the other.
    """
    files = bundle.manifest.files
    parts = {
        "files": [files[name] for name in bundle.manifest.detector.file_names],
        "thresholds": detection_thresholds(bundle, config),
        "max_garments": config.detection.max_garments,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

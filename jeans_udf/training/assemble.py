"""A bundle out of a trained detector and a trained classifier."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load_file, save_file

from jeans_udf.bundle import MANIFEST, Bundle, write_manifest
from jeans_udf.errors import BundleError, ConfigError
from jeans_udf.evaluation.detection import average_precision, coco_truth, tagged_negatives
from jeans_udf.models.detector import build_detector, load_weights, read_detector_config
from jeans_udf.training.coco import read_coco
from jeans_udf.training.detector import detect_photos
from jeans_udf.vocabulary import load_vocabulary


def fit_score_threshold(
    detector: Path,
    vocabulary: str,
    photos: str,
    annotations: str,
    *,
    most_tagged: float,
    given: float | None = None,
) -> tuple[float, dict[str, Any]]:
    """The detector's threshold on validation photos, and its metrics at that threshold.

    The least of 0.05 ... 0.95 at which at most ``most_tagged`` of the photos without garments get
    one: a lower one keeps more true garments.
    """
    categories = load_vocabulary(vocabulary).categories
    cfg = read_detector_config(detector / "detector.yaml")
    model = build_detector(cfg)
    load_weights(model, detector / "detector.safetensors")
    validation = read_coco(photos, annotations, categories)
    rows = detect_photos(model, validation, cfg.INPUT.MAX_SIZE_TEST, torch.device("cpu"))
    grid = [round(float(t), 2) for t in np.arange(0.05, 0.96, 0.01)]
    threshold = given
    if threshold is None:
        held = [t for t in grid if tagged_negatives(validation, rows, t) <= most_tagged]
        threshold = held[0] if held else grid[-1]
    kept = [row for row in rows if row["score"] >= threshold]
    truth = coco_truth(validation, categories)
    metrics: dict[str, Any] = {
        "photos": len(validation),
        "score_threshold": threshold,
        "tagged_negatives": tagged_negatives(validation, rows, threshold),
    }
    for kind in ("bbox", "segm"):
        masked = [row for row in rows if kind == "bbox" or "segmentation" in row]
        if masked:
            metrics[kind] = average_precision(truth, masked, kind)
            at = [row for row in kept if kind == "bbox" or "segmentation" in row]
            metrics[f"{kind}_at_threshold"] = average_precision(truth, at, kind)
    return threshold, metrics


def assemble_bundle(
    output: Path,
    *,
    name: str,
    version: str,
    detector: Path,
    classifier: Path,
    vocabulary: str,
    training_data: str,
    score_threshold: float,
    detector_metrics: dict[str, Any],
) -> Bundle:
    """Write the bundle's directory and open it; refuses to replace what is no bundle."""
    if output.exists():
        if not (output / MANIFEST).is_file():
            raise BundleError(f"bundle {output}: exists and is no bundle; name a fresh folder")
        shutil.rmtree(output)
    output.mkdir(parents=True)
    shutil.copyfile(detector / "detector.yaml", output / "detector.yaml")
    save_file(_halved(load_file(detector / "detector.safetensors")), output / "detector.safetensors")
    save_file(
        _halved(load_file(classifier / "classifier.safetensors")),
        output / "classifier.safetensors",
    )
    spec = json.loads((classifier / "classifier.json").read_text())
    classifier_metrics = json.loads((classifier / "metrics.json").read_text())
    metrics = {"detector": detector_metrics, "classifier": classifier_metrics}
    (output / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    data = yaml.safe_load(Path(training_data).read_text())
    if not isinstance(data, list):
        raise ConfigError(f"training data {training_data}: wanted a list of data sets")
    segm = detector_metrics.get("segm") or detector_metrics["bbox"]
    return write_manifest(
        output,
        {
            "name": name,
            "version": version,
            "created": datetime.now(UTC).date().isoformat(),
            "vocabulary": load_vocabulary(vocabulary).as_dict(),
            "detector": {
                "config": "detector.yaml",
                "weights": "detector.safetensors",
                "score_threshold": score_threshold,
            },
            "classifier": {"weights": "classifier.safetensors", **spec},
            "training_data": data,
            "metrics": {
                "mask_AP50": segm["AP50"],
                "mask_AP": segm["AP"],
                "tagged_negatives": detector_metrics["tagged_negatives"],
                "attributes_micro_f1": classifier_metrics["micro_f1"],
                "attributes_macro_f1": classifier_metrics["macro_f1"],
            },
        },
    )


def _halved(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels in float16; vectors (biases, batch norm) keep their range."""
    return {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, value in tensors.items()
    }

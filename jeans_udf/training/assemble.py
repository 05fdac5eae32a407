"""A bundle out of a trained detector and a trained classifier, measured as a whole."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file

from jeans_udf.bundle import MANIFEST, Bundle, open_bundle, write_manifest
from jeans_udf.config import TaggingConfig
from jeans_udf.errors import BundleError, ConfigError
from jeans_udf.evaluation.detection import average_precision, coco_truth, tagged_negatives
from jeans_udf.evaluation.detector import tagger_rows
from jeans_udf.models.detector_config import check_categories
from jeans_udf.strict_json import write_json
from jeans_udf.tagger import Tagger
from jeans_udf.training.coco import Photo
from jeans_udf.training.combining import fit_combination, hear_opinions
from jeans_udf.training.thresholds import fit_thresholds
from jeans_udf.vocabulary import Vocabulary, load_vocabulary


@dataclass(frozen=True)
class TrainedClassifier:
    """A classifier's weights, what the manifest says of it, and its metrics."""

    weights: Path
    spec: dict[str, Any]
    metrics: dict[str, Any]


def classifier_of_run(folder: Path) -> TrainedClassifier:
    """The output of ``train_classifier.py``; raises `ConfigError` when it is not whole."""
    try:
        return TrainedClassifier(
            folder / "classifier.safetensors",
            json.loads((folder / "classifier.json").read_text(encoding="utf-8")),
            json.loads((folder / "metrics.json").read_text(encoding="utf-8")),
        )
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"classifier {folder}: wanted the output of a finished train_classifier.py ({error})"
        ) from None


def classifier_of_bundle(bundle: Bundle, vocabulary: Vocabulary) -> TrainedClassifier:
    """The classifier of a ``bundle``; raises `ConfigError` when its vocabulary is another."""
    if bundle.vocabulary != vocabulary:
        raise ConfigError(
            f"classifier of bundle {bundle.directory}: its vocabulary differs from the one given; "
            "train a classifier (jobs/train_classifier.py) with yours"
        )
    spec = bundle.manifest.classifier.model_dump(exclude={"weights"})
    try:
        told = json.loads(bundle.path("metrics.json").read_text(encoding="utf-8"))
        metrics = dict(told.get("classifier", {}))
    except (OSError, ValueError, AttributeError):
        metrics = {}
    return TrainedClassifier(bundle.path(bundle.manifest.classifier.weights), spec, metrics)


@dataclass(frozen=True)
class Parts:
    """What a bundle is made of; see ``jobs/build_bundle.py``."""

    name: str
    version: str
    detector: Path
    """Output folder of ``train_detector.py``."""
    classifier: TrainedClassifier
    vocabulary: str
    """YAML; must be the one that both models were trained with."""
    training_data: str | None
    """YAML list of data sets, or None for none told."""


def assemble_bundle(
    output: Path, parts: Parts, photos: Sequence[Photo], *, most_tagged: float
) -> Bundle:
    """Write the bundle's directory, fit its decisions on validation ``photos``, open it.

    `combining` says how detector and classifier decide together, `thresholds` from which score on a
    garment is kept. It is made beside ``output`` and takes its place when it
    is whole. Refuses to replace a folder that is no bundle.
    """
    _check(parts)
    if output.exists() and not (output / MANIFEST).is_file():
        raise BundleError(f"bundle {output}: exists and is no bundle; name a fresh folder")
    fresh = output.with_name(output.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    _write_models(fresh, parts)
    manifest = _manifest(parts)
    bundle = write_manifest(fresh, manifest)
    metrics: dict[str, Any] = {
        "detector_alone": json.loads((parts.detector / "metrics.json").read_text()),
        "classifier": parts.classifier.metrics,
    }
    thresholds, metrics["bundle"] = _measure(bundle, photos, most_tagged)
    if bundle.manifest.classifier.verdict:
        combination = fit_combination(hear_opinions(_tagger(bundle), photos))
        manifest["combination"] = combination.model_dump()
        bundle = write_manifest(fresh, manifest)
        metrics["without_combination"] = metrics["bundle"]
        thresholds, metrics["bundle"] = _measure(bundle, photos, most_tagged)
    write_json(fresh / "metrics.json", metrics)
    manifest["detector"]["category_thresholds"] = thresholds
    manifest["metrics"] = _headline(metrics)
    write_manifest(fresh, manifest)
    shutil.rmtree(output, ignore_errors=True)
    fresh.rename(output)
    return open_bundle(f"{output}/")


def _measure(
    bundle: Bundle, photos: Sequence[Photo], most_tagged: float
) -> tuple[dict[str, float], dict[str, Any]]:
    """The thresholds that fit ``photos``, and the figures at them and at all scores."""
    categories = bundle.vocabulary.categories
    results = tagger_rows(_tagger(bundle), photos)
    thresholds = fit_thresholds(photos, results, categories, most_tagged)
    return thresholds, _bundle_metrics(photos, results, thresholds, categories)


def _tagger(bundle: Bundle) -> Tagger:
    return Tagger(bundle, TaggingConfig(), torch.device("cpu"))


def _check(parts: Parts) -> None:
    wanted = [f"{part}.{kind}" for part in _detectors(parts) for kind in ("yaml", "safetensors")]
    for name in (*wanted, "metrics.json"):
        if not (parts.detector / name).is_file():
            raise ConfigError(
                f"detector {parts.detector}: holds no {name}; wanted the output of a finished "
                "train_detector.py"
            )
    check_categories(parts.detector, load_vocabulary(parts.vocabulary).categories)


def _write_models(folder: Path, parts: Parts) -> None:
    for part in _detectors(parts):
        shutil.copyfile(parts.detector / f"{part}.yaml", folder / f"{part}.yaml")
        weights = load_file(parts.detector / f"{part}.safetensors")
        save_file(_halved(weights), folder / f"{part}.safetensors")
    save_file(_halved(load_file(parts.classifier.weights)), folder / "classifier.safetensors")


def _headline(metrics: dict[str, Any]) -> dict[str, float]:
    """The manifest's figures; what cannot be told is left out."""
    kinds = {"box": metrics["bundle"]["bbox"], "mask": metrics["bundle"]["segm"] or {}}
    figures = {
        f"{kind}_{name}": values.get(name, math.nan)
        for kind, values in kinds.items()
        for name in ("AP", "AP50")
    }
    figures |= {
        "tagged_negatives": metrics["bundle"]["tagged_negatives"],
        "attributes_micro_f1": metrics["classifier"].get("micro_f1", math.nan),
        "attributes_macro_f1": metrics["classifier"].get("macro_f1", math.nan),
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _detectors(parts: Parts) -> list[str]:
    """Names of the Detectron2 models: a Fast R-CNN's folder holds its RPN too."""
    proposer = (parts.detector / "proposer.yaml").is_file()
    return ["detector", "proposer"] if proposer else ["detector"]


def _manifest(parts: Parts) -> dict[str, Any]:
    data = []
    if parts.training_data is not None:
        data = yaml.safe_load(Path(parts.training_data).read_text(encoding="utf-8"))
        if not isinstance(data, list):
            raise ConfigError(f"training data {parts.training_data}: wanted a list of data sets")
    detector: dict[str, Any] = {
        "config": "detector.yaml",
        "weights": "detector.safetensors",
        # So low that the thresholds by category can be fitted; they go before it.
        "score_threshold": 0.05,
    }
    if "proposer" in _detectors(parts):
        detector |= {"proposer_config": "proposer.yaml",
                     "proposer_weights": "proposer.safetensors"}  # fmt: skip
    return {
        "name": parts.name,
        "version": parts.version,
        "created": datetime.now(UTC).date().isoformat(),
        "vocabulary": load_vocabulary(parts.vocabulary).as_dict(),
        "detector": detector,
        "classifier": {"weights": "classifier.safetensors", **parts.classifier.spec},
        "training_data": data,
        "metrics": {},
    }


def _bundle_metrics(
    photos: Sequence[Photo],
    results: list[dict[str, Any]],
    thresholds: Mapping[str, float],
    categories: Sequence[str],
) -> dict[str, Any]:
    """COCO figures of all detections above 0.05 and of those that the thresholds leave."""
    truth = coco_truth(photos, categories)
    least = [thresholds[name] for name in categories]
    kept = [row for row in results if row["score"] >= least[row["category_id"] - 1]]
    metrics: dict[str, Any] = {
        "photos": len(photos),
        "thresholds": dict(thresholds),
        "tagged_negatives": tagged_negatives(photos, kept, 0.0),
        "bbox": average_precision(truth, results, "bbox"),
        "bbox_at_threshold": average_precision(truth, kept, "bbox"),
    }
    for name, rows in (("segm", results), ("segm_at_threshold", kept)):
        masked = [row for row in rows if "segmentation" in row]
        metrics[name] = average_precision(truth, masked, "segm") if masked else None
    return metrics


def _halved(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Matrices and kernels in float16; vectors (biases, batch norm) keep their range."""
    return {
        name: (value.half() if value.is_floating_point() and value.ndim > 1 else value).contiguous()
        for name, value in tensors.items()
    }

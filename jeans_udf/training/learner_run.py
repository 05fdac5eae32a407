"""An imported learner as a classifier's run folder, as ``jobs/train_classifier.py`` writes one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import save_file

from jeans_udf.errors import ConfigError
from jeans_udf.strict_json import write_json
from jeans_udf.training.learner_file import LearnerFile
from jeans_udf.training.learner_import import find_backbone, import_tensors
from jeans_udf.training.learner_labels import Outputs
from jeans_udf.training.learner_transforms import Sight, sight_of


@dataclass(frozen=True)
class ImportedLearner:
    """What a run folder needs, and what is told of the import."""

    tensors: dict[str, torch.Tensor]
    spec: dict[str, Any]
    """As in `ClassifierSpec`, but for the weights' name."""
    outputs: Outputs
    mapped: list[str]
    unmapped: list[str]


def import_learner(
    learner: LearnerFile,
    outputs: Outputs,
    *,
    backbone: str | None,
    size: int | None,
    threshold: float,
) -> ImportedLearner:
    """Map ``learner`` to a classifier of ``outputs``; raises `ConfigError` when it cannot be."""
    name = find_backbone(learner, backbone)
    sight = sight_of(learner, size)
    tensors = import_tensors(learner, name, outputs.order)
    thresholds = {
        key: threshold
        for group in outputs.vocabulary.groups
        for key in ((group.name,) if group.exclusive else group.labels)
    }
    spec = {
        "backbone": name,
        "size": sight.size,
        "mean": list(sight.mean),
        "std": list(sight.std),
        "thresholds": thresholds,
        "head": "fastai",
        "verdict": False,
        "scores": "groups" if learner.one_label else "sigmoid",
    }
    return ImportedLearner(
        tensors, spec, outputs, _mapped(learner, name, outputs, sight), _unmapped(learner, sight)
    )


def write_run(imported: ImportedLearner, learner: LearnerFile, source: Path, output: Path) -> None:
    """Write the run folder ``output``, with ``vocabulary.yaml`` and ``import.json``, a report."""
    told = {"source": source.name, "sha256": learner.sha256}
    try:
        output.mkdir(parents=True, exist_ok=True)
        save_file(imported.tensors, output / "classifier.safetensors")
        (output / "vocabulary.yaml").write_text(
            yaml.safe_dump(imported.outputs.vocabulary.as_dict(), sort_keys=False), "utf-8"
        )
        write_json(output / "classifier.json", imported.spec)
        # It has not been judged here.
        write_json(output / "metrics.json", {"imported": told})
        write_json(
            output / "import.json",
            {
                **told,
                "mapped": imported.mapped,
                "unmapped": imported.unmapped,
                "renamed_labels": imported.outputs.renamed,
            },
        )
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"--output {output}: cannot be written: {error}") from None


def _mapped(learner: LearnerFile, backbone: str, outputs: Outputs, sight: Sight) -> list[str]:
    body = sum(name.startswith("0.") for name in learner.tensors)
    head = len(learner.tensors) - body
    lines = [
        f"body: {body} tensors, timm's {backbone}",
        f"head: {head} tensors, fastai's default",
        f"labels: {len(outputs.order)}, "
        + ("one a picture (softmax)" if learner.one_label else "each by itself (sigmoid)"),
    ]
    lines += [f"label {old!r} is {new}" for old, new in outputs.renamed.items()]
    return lines + sight.mapped


def _unmapped(learner: LearnerFile, sight: Sight) -> list[str]:
    lines = list(learner.leftovers) + sight.unmapped
    if not learner.whole:
        lines += [
            "the head's layers between its tensors: taken to be fastai's default (maximum before "
            "average, ReLU)",
            "the loss function: taken to be one for several labels (sigmoid)",
        ]
    return [*lines, "verdict: it cannot tell crops without a garment; the detector's score stands"]

"""A finished classifier's run folder: weights, decisions, figures and pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from jeans_udf.evaluation.attributes import attributes_markdown, judge_attributes
from jeans_udf.evaluation.charts import plot_calibration
from jeans_udf.evaluation.label_gallery import show_batch, show_results, top_losses
from jeans_udf.evaluation.label_thresholds import fit_thresholds
from jeans_udf.evaluation.labels import accuracy_multi, decisions, f_beta
from jeans_udf.evaluation.plots import plot_classifier_training, plot_label_scores
from jeans_udf.evaluation.temperature import (
    calibration_bins,
    calibration_figures,
    fit_temperatures,
)
from jeans_udf.models.outputs import Scoring, group_probabilities
from jeans_udf.strict_json import write_json
from jeans_udf.training.classifier import Trained, member_folders
from jeans_udf.training.classifier_data import CropSets, outputs, targets
from jeans_udf.training.classifier_recipe import ClassifierRecipe
from jeans_udf.vocabulary import NO_GARMENT


@dataclass(frozen=True)
class Decided:
    """How scores are made and what is answered, fitted on the validation crops."""

    scoring: Scoring
    temperatures: dict[str, float]
    thresholds: dict[str, float]
    scores: np.ndarray
    """(N, outputs) of all validation crops."""
    said: np.ndarray
    """(N, L) bool: the labels that are answered; none of crops of nothing."""
    garments: np.ndarray
    """(N,) bool: the crops that show one."""


def write_run(
    trained: Trained, sets: CropSets, recipe: ClassifierRecipe, output: Path
) -> dict[str, Any]:
    """Fit temperatures and thresholds on the validation crops, write everything, return figures.

    The figures are of the same crops that the thresholds were fitted on: judge the bundle on photos
    that neither saw. The calibration error is of temperatures fitted on other crops.
    """
    decided = _decide(trained, sets, recipe)
    figures = _figures(trained, decided, sets, recipe)
    save_file(
        {k: v.contiguous() for k, v in trained.model.state_dict().items()},
        output / "classifier.safetensors",
    )
    spec = {
        "backbone": recipe.backbone, "head": recipe.head, "view": recipe.view,
        "size": recipe.cut_size, "input_size": recipe.phases[-1].size,
        "mirrored": recipe.mirrored, "mean": sets.mean, "std": sets.std,
        "verdict": recipe.has_verdict, "scores": decided.scoring,
        "temperatures": decided.temperatures, "thresholds": decided.thresholds,
    }  # fmt: skip
    (output / "classifier.json").write_text(json.dumps(spec, indent=1))
    write_json(output / "metrics.json", figures)
    (output / "labels.md").write_text(attributes_markdown(figures, sets.vocabulary))
    _plot(trained, decided, figures, sets, recipe, output)
    _draw(trained, decided, sets, recipe, output)
    return figures


def _decide(trained: Trained, sets: CropSets, recipe: ClassifierRecipe) -> Decided:
    vocabulary, count = sets.vocabulary, len(sets.vocabulary.labels)
    wanted = targets(sets.valid, vocabulary, recipe)
    scoring: Scoring = "groups" if recipe.loss == "groups" else "sigmoid"
    temperatures = fit_temperatures(trained.logits, wanted, vocabulary, scoring)
    logits = torch.from_numpy(trained.logits)
    scores = group_probabilities(logits, vocabulary, scoring, temperatures).numpy()
    garments = np.array([crop.category != NO_GARMENT for crop in sets.valid])
    thresholds = fit_thresholds(scores[garments], wanted[garments, :count], vocabulary)
    said = np.zeros((len(scores), count), dtype=bool)
    said[garments] = decisions(scores[garments], _categories(sets), vocabulary, thresholds)
    return Decided(scoring, temperatures, thresholds, scores, said, garments)


def _figures(
    trained: Trained, decided: Decided, sets: CropSets, recipe: ClassifierRecipe
) -> dict[str, Any]:
    vocabulary, count = sets.vocabulary, len(sets.vocabulary.labels)
    wanted, garments = targets(sets.valid, vocabulary, recipe), decided.garments
    truth = wanted[garments, :count]
    figures = judge_attributes(
        decided.scores[garments], truth, _categories(sets), vocabulary, decided.thresholds
    )
    figures |= {
        "garments": int(garments.sum()),
        "thresholds": decided.thresholds,
        "temperatures": decided.temperatures,
        "notebook": _notebook(trained.logits[garments, :count], truth, recipe.threshold),
        "calibration": calibration_figures(
            trained.logits, wanted, vocabulary, decided.scoring, _photos(sets)
        ),
    }
    if recipe.has_verdict:
        figures["verdict"] = _verdict(decided.scores[:, count:], sets)
    return figures


def _categories(sets: CropSets) -> list[str | None]:
    return [crop.category for crop in sets.valid if crop.category != NO_GARMENT]


def _photos(sets: CropSets) -> list[str]:
    return [crop.photo for crop in sets.valid]


def _notebook(logits: np.ndarray, truth: np.ndarray, threshold: float) -> dict[str, float]:
    """What the notebooks told: sigmoid of every label at one threshold."""
    said = 1 / (1 + np.exp(-logits.astype(np.float64))) >= threshold
    return {
        "threshold": threshold,
        "accuracy_multi": accuracy_multi(truth, said),
        "f_beta": f_beta(truth, said, 2.0),
    }


def _verdict(scores: np.ndarray, sets: CropSets) -> dict[str, float | None]:
    """How often the category is right, and how well crops of nothing are seen to be that."""
    names = np.array([NO_GARMENT, *sets.vocabulary.categories])
    said, wanted = names[scores.argmax(1)], np.array([crop.category or "" for crop in sets.valid])
    real = (wanted != NO_GARMENT) & (wanted != "")
    nothing = wanted == NO_GARMENT
    return {
        "category_right": float((said == wanted)[real].mean()) if real.any() else None,
        "none_seen": float((said == NO_GARMENT)[nothing].mean()) if nothing.any() else None,
        "garments_taken_for_none": (
            float((said == NO_GARMENT)[real].mean()) if real.any() else None
        ),
    }


def _plot(
    trained: Trained,
    decided: Decided,
    figures: dict[str, Any],
    sets: CropSets,
    recipe: ClassifierRecipe,
    output: Path,
) -> None:
    vocabulary = sets.vocabulary
    for place in member_folders(output, recipe):
        plot_classifier_training(place)
    plot_label_scores(
        figures["labels"],
        output / "labels.png",
        {label: group.name for group in vocabulary.groups for label in group.labels},
    )
    before, after = calibration_bins(
        trained.logits, targets(sets.valid, vocabulary, recipe), vocabulary, decided.scoring,
        _photos(sets),
    )  # fmt: skip
    error = figures["calibration"]["all"]
    plot_calibration(
        before, after, (error["ece_before"], error["ece_after"]), output / "calibration.png"
    )


def _draw(
    trained: Trained, decided: Decided, sets: CropSets, recipe: ClassifierRecipe, output: Path
) -> None:
    names = outputs(sets.vocabulary, recipe)
    wanted = [crop.labels for crop in sets.valid]
    said = [_named(row, names) for row in decided.said]

    def picture(index: int) -> np.ndarray:
        return np.asarray(Image.open(sets.valid[index].file).convert("RGB"))

    pictures, rows = trained.batch
    show_batch(pictures, [_named(row, names) for row in rows], output / "show_batch.png")
    show_results(picture, wanted, said, output / "show_results.png")
    top_losses(picture, wanted, said, trained.losses, _photos(sets), output / "top_losses.png")


def _named(given: np.ndarray, names: Sequence[str]) -> list[str]:
    """The names that are given; ``given`` may end before the verdict's."""
    return [name for name, there in zip(names, given, strict=False) if there]

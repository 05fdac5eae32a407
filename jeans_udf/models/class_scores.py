"""What a detector thinks of every category of a detection, not of the best one alone."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from detectron2.modeling.roi_heads import FastRCNNOutputLayers
from detectron2.structures import Instances, pairwise_iou

SAME = 0.6
"""Boxes that overlap more are of one garment."""


def keep_class_scores(predictor: Any) -> None:
    """Let a box head's predictor give ``class_scores (N, C)``, its softmax, with its detections.

    Detectron2 keeps the score of the category alone that a detection is of. What is no
    `FastRCNNOutputLayers` stays as it is.
    """
    if isinstance(predictor, FastRCNNOutputLayers):
        # A method of this predictor, so that a copy of the model asks its own one.
        predictor.inference = MethodType(_with_class_scores, predictor)


def _with_class_scores(
    predictor: FastRCNNOutputLayers, predictions: Any, proposals: list[Instances]
) -> tuple[list[Instances], list[torch.Tensor]]:
    found, kept = type(predictor).inference(predictor, predictions, proposals)
    chances = predictor.predict_probs(predictions, proposals)
    boxes = predictor.predict_boxes(predictions, proposals)
    for instances, scores, places, rows in zip(found, chances, boxes, kept, strict=True):
        # Detectron2 counts rows without those that are not finite.
        finite = torch.isfinite(scores).all(1) & torch.isfinite(places).all(1)
        instances.class_scores = scores[finite][rows, :-1]
    return found, kept


def class_scores_of(instances: Instances, chosen: torch.Tensor, classes: int) -> torch.Tensor:
    """``class_scores (K, C)`` of the ``chosen (K,)`` of a photo's detections.

    Where the head told none, each category's best score among the detections of the same place.
    """
    if instances.has("class_scores"):
        scores: torch.Tensor = instances.class_scores[chosen]
        return scores
    overlaps = pairwise_iou(instances.pred_boxes[chosen], instances.pred_boxes)
    scores = torch.where(overlaps >= SAME, instances.scores, 0.0)
    of_class = instances.pred_classes.expand_as(scores)
    return scores.new_zeros(len(chosen), classes).scatter_reduce(1, of_class, scores, "amax")

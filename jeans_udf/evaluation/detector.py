"""A detector over validation photos: COCO average precision, and photos without garments tagged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from jeans_udf.evaluation.detection import average_precision, coco_truth, tagged_negatives
from jeans_udf.geometry import encode_rle
from jeans_udf.models.detector import Detector
from jeans_udf.training.coco import Photo


def evaluate_detector(
    model: nn.Module,
    photos: Sequence[Photo],
    categories: Sequence[str],
    longest_side: int,
    device: torch.device,
) -> dict[str, Any]:
    """COCO box and mask AP on ``photos``, and how often photos without garments get one."""
    results = detect_photos(model, photos, longest_side, device)
    truth = coco_truth(photos, categories)
    masked = [row for row in results if "segmentation" in row]
    return {
        "photos": len(photos),
        "bbox": average_precision(truth, results, "bbox"),
        "segm": average_precision(truth, masked, "segm") if masked else None,
        "tagged_negatives": {
            str(t): tagged_negatives(photos, results, t) for t in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
        },
    }


def detect_photos(
    model: nn.Module,
    photos: Sequence[Photo],
    longest_side: int,
    device: torch.device,
    score_threshold: float = 0.05,
) -> list[dict[str, Any]]:
    """COCO result rows (category ids from 1, boxes XYWH, RLE masks) of every photo."""
    training = model.training
    detector = Detector(
        model,
        longest_side=longest_side,
        score_threshold=score_threshold,
        max_garments=20,
        device=device,
    )
    rows = []
    for photo in photos:
        canvas = detector.prepare(photo.pixels())
        found = detector.detect([canvas])[0]
        height, width = canvas.original
        masks = found.full_masks(height, width)
        for index, (x1, y1, x2, y2) in enumerate(found.boxes.tolist()):
            row = {
                "image_id": photo.coco_id,
                "category_id": int(found.classes[index]) + 1,
                "score": float(found.scores[index]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
            }
            if masks is not None:
                row["segmentation"] = encode_rle(masks[index])
            rows.append(row)
    model.train(training)
    return rows

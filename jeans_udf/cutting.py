"""Garments cut from a decoded picture, for the classifier and for the table of crops.

Detections are in pixels of the upright image; the picture may show that image reduced
(`images.decode_picture`), and what is cut from it is as large as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from PIL import Image

from jeans_udf.geometry import decode_rle
from jeans_udf.models.detections import Detections
from jeans_udf.rows import Found
from jeans_udf.source_image import Known
from jeans_udf.vocabulary import Vocabulary

Prepare = Callable[[np.ndarray, np.ndarray | None, np.ndarray], np.ndarray]
"""`Classifier.prepare`: picture, mask, box in its pixels, to the classifier's input."""


def cut(
    pixels: np.ndarray,
    original: tuple[int, int],
    detections: Detections,
    vocabulary: Vocabulary,
    prepare: Prepare,
) -> list[Found]:
    """The garments of ``pixels (h, w, 3) uint8`` RGB; the upright image is ``original`` (H, W)."""
    boxes = detections.boxes * _reduction(pixels, original)
    masks = detections.at(boxes).full_masks(*pixels.shape[:2])
    reduced = pixels.shape[:2] != original
    garments = []
    for index in range(len(detections)):
        mask = masks[index] if masks is not None and masks[index].any() else None
        whole = None
        if mask is not None:
            whole = partial(_pasted, detections, index, original) if reduced else partial(_is, mask)
        garments.append(
            Found(
                number=index,
                category=vocabulary.categories[int(detections.classes[index])],
                score=float(detections.scores[index]),
                class_scores=detections.class_scores[index],
                box=detections.boxes[index],
                cut_box=boxes[index],
                mask=mask,
                whole=whole,
                square=prepare(pixels, mask, boxes[index]),
            )
        )
    return garments


def cut_known(
    pixels: np.ndarray,
    original: tuple[int, int],
    known: Sequence[Known],
    vocabulary: Vocabulary,
    prepare: Prepare,
) -> list[Found]:
    """The garments of ``pixels`` that a run with the same detector has found before."""
    garments = []
    for index, detection in enumerate(known):
        scores = np.array(detection.scores, dtype=np.float32)
        box = np.array(detection.box, dtype=np.float32)
        cut_box = box * _reduction(pixels, original)
        mask = whole = None
        if detection.mask is not None:
            entire = decode_rle({"size": list(original), "counts": detection.mask})
            mask, whole = _resized(entire, pixels), partial(_is, entire)
        garments.append(
            Found(
                number=index,
                category=vocabulary.categories[int(scores.argmax())],
                score=float(scores.max()),
                class_scores=scores,
                box=box,
                cut_box=cut_box,
                mask=mask,
                whole=whole,
                square=prepare(pixels, mask, cut_box),
            )
        )
    return garments


def _reduction(pixels: np.ndarray, original: tuple[int, int]) -> np.ndarray:
    """(4,) float32: what XYXY of the upright image times it is in the picture."""
    scale_y, scale_x = pixels.shape[0] / original[0], pixels.shape[1] / original[1]
    return np.array([scale_x, scale_y] * 2, dtype=np.float32)


def _pasted(detections: Detections, index: int, original: tuple[int, int]) -> np.ndarray:
    masks = detections.one(index).full_masks(*original)
    assert masks is not None
    whole: np.ndarray = masks[0]
    return whole


def _is(mask: np.ndarray) -> np.ndarray:
    return mask


def _resized(mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    height, width = pixels.shape[:2]
    if mask.shape == (height, width):
        return mask
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))

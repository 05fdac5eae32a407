"""What detectors say of one image, in pixels of the upright image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from detectron2.layers.mask_ops import paste_masks_in_image


@dataclass(frozen=True)
class Detections:
    """Garments of one image, best score first; pixels of the upright image.

    ``boxes (N, 4) float32`` XYXY, ``scores (N,) float32``, ``classes (N,) int64``,
    ``class_scores (N, C) float32``: the score of every category, of which ``scores`` is the best;
    ``masks (N, 28, 28) float32`` probabilities within each box, or None without a mask head.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    class_scores: np.ndarray
    masks: np.ndarray | None

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, boxes: np.ndarray) -> Detections:
        """The same detections with their boxes in pixels of another size of the image."""
        return replace(self, boxes=boxes)

    def one(self, index: int) -> Detections:
        """The detection at ``index`` alone."""
        mine = slice(index, index + 1)
        return Detections(
            boxes=self.boxes[mine],
            scores=self.scores[mine],
            classes=self.classes[mine],
            class_scores=self.class_scores[mine],
            masks=None if self.masks is None else self.masks[mine],
        )

    def full_masks(self, height: int, width: int) -> np.ndarray | None:
        """Masks pasted into the upright image, (N, height, width) bool; None without masks."""
        if self.masks is None:
            return None
        if len(self) == 0:
            return np.zeros((0, height, width), dtype=bool)
        pasted = paste_masks_in_image(
            torch.from_numpy(self.masks), torch.from_numpy(self.boxes), (height, width), 0.5
        )
        return pasted.numpy().astype(bool)


@dataclass(frozen=True)
class Proposals:
    """Where an RPN sees any object, best first.

    ``boxes (N, 4) float32`` XYXY in pixels of the upright image, ``scores (N,) float32``: the
    chance of an object, 0 to 1.
    """

    boxes: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def logits(self) -> np.ndarray:
        """``scores`` as objectness logits, (N,) float32, as Detectron2 keeps them."""
        inner = np.clip(self.scores.astype(np.float64), 1e-7, 1 - 1e-7)
        return np.log(inner / (1 - inner)).astype(np.float32)

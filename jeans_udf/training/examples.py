"""Batches of augmented photos as Detectron2's models take them, prepared ahead on a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from detectron2.structures import BitMasks, Boxes, Instances

from jeans_udf.models.detector import prepare_canvas
from jeans_udf.training.augment import Jitter, augment
from jeans_udf.training.coco import Photo

SMALLEST_MASK = 64
"""Pixels of a garment that are left after a crop, below which it is no garment any more."""


class Examples:
    """Epochs of all photos with garments and, anew each time, a sample of the others.

    ``negatives`` is that sample's size relative to the photos with garments. The same seed and
    epoch give the same batches, so that a resumed training sees what it would have seen.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        jitter: Jitter,
        *,
        batch_size: int,
        negatives: float,
        seed: int,
    ) -> None:
        self.photos, self.jitter = photos, jitter
        self.batch_size, self.negatives, self.seed = batch_size, negatives, seed

    @property
    def steps(self) -> int:
        """Batches of an epoch; what does not fill one is left out."""
        return len(self._order(0)) // self.batch_size

    def batches(self, epoch: int) -> Iterator[list[dict[str, Any]]]:
        """Lists of ``image (3, H, W) uint8`` RGB and ``instances``."""
        order = self._order(epoch)
        with ThreadPoolExecutor(1) as pool:
            ahead: list[Any] = []
            for number in range(self.steps):
                start = number * self.batch_size
                chunk = order[start : start + self.batch_size]
                ahead.append(pool.submit(self._batch, chunk, (self.seed, epoch, start)))
                if len(ahead) > 2:
                    yield ahead.pop(0).result()
            for waiting in ahead:
                yield waiting.result()

    def _order(self, epoch: int) -> list[Photo]:
        rng = np.random.default_rng((self.seed, epoch))
        positive = [photo for photo in self.photos if photo.classes]
        negative = [photo for photo in self.photos if not photo.classes]
        count = min(len(negative), round(self.negatives * len(positive)))
        chosen = positive + [negative[i] for i in rng.permutation(len(negative))[:count]]
        return [chosen[i] for i in rng.permutation(len(chosen))]

    def _batch(self, photos: Sequence[Photo], seed: tuple[int, ...]) -> list[dict[str, Any]]:
        return [
            example(photo, self.jitter, np.random.default_rng((*seed, k)))
            for k, photo in enumerate(photos)
        ]


def example(photo: Photo, jitter: Jitter, rng: np.random.Generator) -> dict[str, Any]:
    """One training input of Detectron2: an RGB canvas and its instances."""
    image, masks = augment(photo.pixels(), photo.masks(), jitter, rng)
    canvas = prepare_canvas(image, max(image.shape[:2]))
    visible = masks.sum(axis=(1, 2)) >= SMALLEST_MASK
    instances = Instances(image.shape[:2])
    kept = BitMasks(torch.from_numpy(masks[visible].copy()))
    instances.gt_masks = kept
    instances.gt_boxes = kept.get_bounding_boxes() if len(kept) else Boxes(torch.zeros(0, 4))
    classes = np.asarray(photo.classes, dtype=np.int64)[visible]
    instances.gt_classes = torch.from_numpy(classes)
    return {"image": canvas.pixels, "instances": instances}

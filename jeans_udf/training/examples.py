"""Batches of augmented photos as Detectron2's models take them, prepared ahead on a thread."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.structures import BitMasks, Boxes, Instances

from jeans_udf.errors import ConfigError
from jeans_udf.training.augment import Jitter, Placement, augment
from jeans_udf.training.coco import Photo
from jeans_udf.training.paste import paste_garments

SMALLEST_MASK = 64
"""Pixels of a garment that are left after a crop, below which it is no garment any more."""
POOL = 4
"""Batches among whose photos those of like size are put together: less of a canvas is padding."""


@dataclass(frozen=True)
class Sampling:
    """Which photos make an epoch."""

    batch_size: int = 8
    """Photos a step."""
    negatives: float = 0.4
    """Photos without garments in an epoch, relative to those with."""
    repeat_below: float = 0.0
    """Photos of categories that are on a smaller share of the photos are repeated, by LVIS' rule
    ``sqrt(repeat_below / share)`` (Gupta et al., 2019); 0: none."""
    paste: float = 0.0
    """Share of photos whose garments are laid on a photo without any."""
    seed: int = 0
    """Of the order and the augmentation."""


ProposalArrays = Mapping[Path, tuple[np.ndarray, np.ndarray]]
"""Photo -> boxes (N, 4) float32 XYXY pixels of the upright photo, objectness logits (N,)."""


class Examples:
    """Epochs of all photos with garments and, anew each time, a sample of the others.

    The same seed and epoch give the same batches, so that a resumed training sees what it would
    have seen. ``proposals`` are needed by Fast R-CNN alone. ``workers`` threads prepare ahead.
    """

    def __init__(
        self,
        photos: Sequence[Photo],
        jitter: Jitter,
        sampling: Sampling,
        proposals: ProposalArrays | None = None,
        workers: int = 1,
    ) -> None:
        self.workers = workers
        self.jitter, self.sampling, self.proposals = jitter, sampling, proposals
        self.positives = [photo for photo in photos if photo.classes]
        self.negatives = [photo for photo in photos if photo.is_negative]
        self._repeats = repeat_factors(self.positives, sampling.repeat_below)

    @property
    def steps(self) -> int:
        """Batches of an epoch; what does not fill one is left out."""
        copies = round(float(self._repeats.sum()))
        return (copies + self._negative_count) // self.sampling.batch_size

    def check(self) -> None:
        """Raise `ConfigError` when the photos do not fill one batch."""
        if not self.positives or not self.steps:
            raise ConfigError(
                f"training photos: {len(self.positives)} with garments do not fill one batch of "
                f"{self.sampling.batch_size}; give more photos or a smaller --batch-size"
            )

    @property
    def _negative_count(self) -> int:
        wanted = round(self.sampling.negatives * len(self.positives))
        return min(len(self.negatives), wanted)

    def batches(self, epoch: int) -> Iterator[list[dict[str, Any]]]:
        """Lists of ``image (3, H, W) uint8`` RGB, ``instances``, and ``proposals`` if given."""
        order, size, seed = self._order(epoch), self.sampling.batch_size, self.sampling.seed
        with ThreadPoolExecutor(self.workers) as pool:
            ahead: list[Future[list[list[dict[str, Any]]]]] = []
            for start in range(0, self.steps * size, POOL * size):
                chunk = order[start : min(start + POOL * size, self.steps * size)]
                ahead.append(pool.submit(self._pool, chunk, (seed, epoch, start)))
                if len(ahead) > self.workers:
                    yield from ahead.pop(0).result()
            for waiting in ahead:
                yield from waiting.result()

    def _order(self, epoch: int) -> list[Photo]:
        rng = np.random.default_rng((self.sampling.seed, epoch))
        # A factor of 1.7 is one copy always and a second one in seven of ten epochs.
        whole = np.floor(self._repeats)
        copies = (whole + (rng.random(len(whole)) < self._repeats - whole)).astype(int)
        chosen = [photo for photo, n in zip(self.positives, copies, strict=True) for _ in range(n)]
        chosen += [self.negatives[i]
                   for i in rng.permutation(len(self.negatives))[: self._negative_count]]
        # By chance a few copies less than expected: some photos once more fill the epoch.
        for _ in range(self.steps * self.sampling.batch_size - len(chosen)):
            chosen.append(self.positives[rng.integers(len(self.positives))])
        return [chosen[i] for i in rng.permutation(len(chosen))]

    def _pool(self, photos: Sequence[Photo], seed: tuple[int, ...]) -> list[list[dict[str, Any]]]:
        made = [self._example(p, np.random.default_rng((*seed, k))) for k, p in enumerate(photos)]
        made.sort(key=lambda example: example["image"].shape[1] * example["image"].shape[2])
        size = self.sampling.batch_size
        batches = [made[start : start + size] for start in range(0, len(made), size)]
        order = np.random.default_rng(seed).permutation(len(batches))
        return [batches[i] for i in order]

    def _example(self, photo: Photo, rng: np.random.Generator) -> dict[str, Any]:
        image, masks = photo.pixels(), photo.masks()
        if photo.classes and self.negatives and rng.random() < self.sampling.paste:
            # The proposals of the pasted garment's photo would be elsewhere.
            if self.proposals is None:
                background = self.negatives[rng.integers(len(self.negatives))].pixels()
                image, masks = paste_garments(background, image, masks, rng)
        image, masks, placement = augment(image, masks, self.jitter, rng)
        made = example(image, masks, photo.classes)
        if self.proposals is not None:
            made["proposals"] = _placed(self.proposals[photo.path], placement, image.shape[:2])
        return made


def repeat_factors(photos: Sequence[Photo], threshold: float) -> np.ndarray:
    """How often each of ``photos`` comes in an epoch, (N,) float64, at least 1."""
    counts: dict[int, int] = {}
    for photo in photos:
        for index in set(photo.classes):
            counts[index] = counts.get(index, 0) + 1
    by_class = {
        index: max(1.0, math.sqrt(threshold * len(photos) / count))
        for index, count in counts.items()
    }
    return np.array([max(by_class[index] for index in photo.classes) for photo in photos])


def example(image: np.ndarray, masks: np.ndarray, classes: Sequence[int]) -> dict[str, Any]:
    """One training input of Detectron2: ``image`` RGB (H, W, 3) uint8 and its instances."""
    visible = masks.sum(axis=(1, 2)) >= SMALLEST_MASK
    instances = Instances(image.shape[:2])
    kept = BitMasks(torch.from_numpy(masks[visible].copy()))
    instances.gt_masks = kept
    instances.gt_boxes = kept.get_bounding_boxes() if len(kept) else Boxes(torch.zeros(0, 4))
    instances.gt_classes = torch.from_numpy(np.asarray(classes, dtype=np.int64)[visible])
    # Not padded here: Detectron2 pads a batch itself, and tells each photo's size from its canvas.
    return {"image": torch.from_numpy(image.transpose(2, 0, 1).copy()), "instances": instances}


def _placed(
    found: tuple[np.ndarray, np.ndarray], placement: Placement, size: tuple[int, ...]
) -> Instances:
    boxes, logits = placement.boxes(found[0]), found[1]
    visible = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
    proposals = Instances((int(size[0]), int(size[1])))
    proposals.proposal_boxes = Boxes(torch.from_numpy(boxes[visible]))
    proposals.objectness_logits = torch.from_numpy(logits[visible].astype(np.float32))
    return proposals

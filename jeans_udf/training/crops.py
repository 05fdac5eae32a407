"""Masked crops of annotated garments with their labels, cut as the tagging job cuts them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jeans_udf.geometry import box_iou, cutout, mask_box
from jeans_udf.models.classifier import NONE, fit_square
from jeans_udf.models.detector import Detector
from jeans_udf.training.coco import Photo
from jeans_udf.training.progress import Progress

MATCHING_IOU = 0.6
"""From this overlap on, a detection shows an annotated garment."""
MASK_SIDE = 28
"""Side of the masks that Mask R-CNN predicts within a box."""


@dataclass(frozen=True)
class Crop:
    """A crop's PNG file, its category (or ``none``) and its labels."""

    file: Path
    category: str
    labels: tuple[str, ...]

    @property
    def targets(self) -> list[str]:
        """What the classifier should say, in the words of `output_names`."""
        return [*self.labels, f"category:{self.category}"]


Labels = Mapping[tuple[str, int], tuple[str, tuple[str, ...]]]
"""(photo name, annotation id) -> category and labels."""


def cut_crops(
    photos: Sequence[Photo],
    labels: Labels,
    folder: Path,
    size: int,
    detector: Detector | None = None,
) -> list[Crop]:
    """Each labelled garment of ``photos`` as a square PNG in ``folder``.

    With a ``detector`` (at a low threshold) a garment that it finds is cut by the mask that it
    predicts, as the job will cut it, and what it finds on photos without garments becomes crops of
    the category ``none``. A folder that was finished before is read, not cut again.
    """
    index = folder / "index.json"
    if index.is_file():
        rows = json.loads(index.read_text())
        return [Crop(folder / name, category, tuple(names)) for name, category, names in rows]
    folder.mkdir(parents=True, exist_ok=True)
    crops = []
    progress = Progress(len(photos), "photos", 1)
    for done, photo in enumerate(photos, start=1):
        for name, category, names, square in _squares(photo, labels, size, detector):
            Image.fromarray(square).save(folder / name, compress_level=1)
            crops.append(Crop(folder / name, category, names))
        progress.update(done, f"{len(crops)} crops")
    index.write_text(json.dumps([(c.file.name, c.category, c.labels) for c in crops]))
    return crops


def _squares(
    photo: Photo, labels: Labels, size: int, detector: Detector | None
) -> Iterator[tuple[str, str, tuple[str, ...], np.ndarray]]:
    """(file name, category, labels, pixels) of each crop of one photo."""
    image = photo.pixels()
    stem = photo.path.stem
    boxes: np.ndarray = np.zeros((0, 4), dtype=np.float32)
    masks: np.ndarray | None = None
    if detector is not None:
        found = detector.detect([detector.prepare(image)])[0]
        boxes, masks = found.boxes, found.full_masks(*image.shape[:2])
    if photo.crowded and not photo.classes:
        return
    if not photo.classes:
        for k, box in enumerate(boxes):
            crop = cutout(image, None if masks is None else masks[k], box)
            yield f"{stem}_none{k}.png", NONE, (), fit_square(crop, size)
        return
    for number, truth in zip(photo.annotation_ids, photo.masks(), strict=True):
        label = labels.get((photo.path.name, number))
        box = mask_box(truth)
        if label is None or box is None:
            continue
        mask = _as_predicted(truth, box)
        overlaps = box_iou(box[None], boxes)[0]
        if masks is not None and overlaps.size and overlaps.max() >= MATCHING_IOU:
            predicted = masks[int(overlaps.argmax())]
            mask = predicted if predicted.any() else mask
        yield f"{stem}_{number}.png", *label, fit_square(cutout(image, mask, box), size)


def _as_predicted(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The mask as coarse as a detector gives it, so that training sees what tagging sees."""
    left, top, right, bottom = (int(round(float(v))) for v in box)
    inner = Image.fromarray(mask[top:bottom, left:right].astype(np.float32))
    coarse = inner.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX)
    fine = np.asarray(coarse.resize(inner.size, Image.Resampling.BILINEAR)) >= 0.5
    result = np.zeros_like(mask)
    result[top:bottom, left:right] = fine
    return result if fine.any() else mask

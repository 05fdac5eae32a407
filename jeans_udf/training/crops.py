"""Crops of annotated garments with their labels, cut as the tagging job cuts them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jeans_udf.config import ImageLimits
from jeans_udf.errors import ConfigError, Rejected
from jeans_udf.geometry import box_iou, mask_box
from jeans_udf.images import decode_image
from jeans_udf.models.detections import Detections
from jeans_udf.models.detector import Detector
from jeans_udf.models.views import View, cut_view, fit_square
from jeans_udf.training.coco import Photo
from jeans_udf.training.crop_folder import Crop, CropFolder, Square, digest
from jeans_udf.training.progress import Progress
from jeans_udf.vocabulary import NO_GARMENT

MATCHING_IOU = 0.6
"""From this overlap on, a detection shows an annotated garment."""
MASK_SIDE = 28
"""Side of the masks that Mask R-CNN predicts within a box."""

Labels = Mapping[tuple[str, int], tuple[str, tuple[str, ...]]]
"""(photo name, annotation id) -> category and labels."""


@dataclass(frozen=True)
class Cut:
    """How garments are cut: to which views, on squares of which size, found by which detector.

    With a ``detector`` (at a low threshold) a garment that it finds is cut by the box and mask that
    it predicts, as the job will cut it, and what it finds on photos without garments becomes crops
    of the category ``none``.
    """

    views: tuple[View, ...]
    size: int
    detector: Detector | None = None

    def __call__(
        self, image: np.ndarray, mask: np.ndarray | None, box: np.ndarray
    ) -> list[np.ndarray]:
        """A garment of ``image`` in each view, (size, size, 3) uint8 RGB."""
        return [fit_square(cut_view(image, mask, box, view), self.size) for view in self.views]

    def detect(self, image: np.ndarray) -> tuple[Detections | None, list[np.ndarray | None]]:
        """What the detector finds, and the whole masks, each None where it has none."""
        if self.detector is None:
            return None, []
        found = self.detector.detect([self.detector.prepare(image)])[0]
        masks = found.full_masks(*image.shape[:2])
        return found, [None] * len(found) if masks is None else list(masks)


def cut_crops(
    photos: Sequence[Photo], labels: Labels, folder: Path, cut: Cut, root: Path
) -> list[Crop]:
    """Each labelled garment of ``photos`` as a square PNG in ``folder``.

    Labels name photos by their path below ``root``. A folder that was finished before with the same
    settings, annotations and labels is read, not cut again. Raises `ConfigError` for a photo that
    cannot be read, or is not of the size that it is annotated at.
    """
    said = [(name_below(p.path, root), p.annotation_ids, p.classes, p.rles) for p in photos]
    source = digest(said, sorted(labels.items()), cut.detector is not None)
    return CropFolder(folder, cut.views, cut.size, source).fill(_each(photos, labels, cut, root))


def name_below(path: Path, root: Path) -> str:
    """``path`` as label files name it: relative to ``root``, without ``.`` and ``..`` within."""
    return Path(os.path.relpath(path, root)).as_posix()


def read_pixels(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, upright, of a photo to learn from; raises `ConfigError`."""
    try:
        return decode_image(path.read_bytes(), ImageLimits())
    except Rejected as error:
        fault = f"{error.reason}: {error.detail}"
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    raise ConfigError(f"photo {path}: {fault}; mend it, or take it out of the files that name it")


def _each(photos: Sequence[Photo], labels: Labels, cut: Cut, root: Path) -> Iterator[Square]:
    progress = Progress(len(photos), "photos", 1)
    count = 0
    for done, photo in enumerate(photos, start=1):
        name = name_below(photo.path, root)
        for number, category, names, pictures in _squares(photo, name, labels, cut):
            count += 1
            yield f"{count:05d}_{number}", category, names, name, pictures
        progress.update(done, f"{count} crops")


def _squares(
    photo: Photo, name: str, labels: Labels, cut: Cut
) -> Iterator[tuple[str, str, tuple[str, ...], list[np.ndarray]]]:
    """(number, category, labels, pictures) of each crop of one photo."""
    if photo.crowded and not photo.classes:
        return
    image = read_pixels(photo.path)
    if photo.classes and image.shape[:2] != (photo.height, photo.width):
        raise ConfigError(
            f"photo {photo.path}: is {image.shape[1]} x {image.shape[0]} pixels, its annotations "
            f"are for {photo.width} x {photo.height}; is it another photo of that name, or turned?"
        )
    found, masks = cut.detect(image)
    if not photo.classes:
        for k, shown in enumerate(masks):
            assert found is not None
            yield f"none{k}", NO_GARMENT, (), cut(image, shown, found.boxes[k])
        return
    for number, truth in zip(photo.annotation_ids, photo.masks(), strict=True):
        label = labels.get((name, number))
        box = mask_box(truth)
        if label is None or box is None:
            continue
        mask: np.ndarray | None = _as_predicted(truth, box)
        if found is not None and len(found):
            overlaps = box_iou(box[None], found.boxes)[0]
            best = int(overlaps.argmax())
            if overlaps[best] >= MATCHING_IOU:
                mask, box = masks[best], found.boxes[best]
        yield str(number), *label, cut(image, mask, box)


def _as_predicted(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The mask as coarse as a detector gives it, so that training sees what tagging sees."""
    left, top, right, bottom = (int(round(float(v))) for v in box)
    inner = Image.fromarray(mask[top:bottom, left:right].astype(np.float32))
    coarse = inner.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX)
    fine = np.asarray(coarse.resize(inner.size, Image.Resampling.BILINEAR)) >= 0.5
    result = np.zeros_like(mask)
    result[top:bottom, left:right] = fine
    return result if fine.any() else mask

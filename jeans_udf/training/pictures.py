"""Crops of photos that are labelled as a whole, without annotations: as they are, or detected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jeans_udf.labels.labelled import Labelled
from jeans_udf.models.views import fit_square
from jeans_udf.training.crop_folder import Crop, CropFolder, Square, digest
from jeans_udf.training.crops import Cut, read_pixels
from jeans_udf.training.progress import Progress

SURE = 0.4
"""Least score of the best detection for it to be the garment that the labels are of."""


def cut_pictures(rows: Sequence[Labelled], photos: Path, folder: Path, cut: Cut) -> list[Crop]:
    """The picture of each row as a square PNG in ``folder``: the whole of it.

    With a detector: the garment of the best score, and no crop where there is none to be sure of.
    Raises `ConfigError` for a photo that cannot be read.
    """
    views = ("whole",) if cut.detector is None else cut.views
    source = digest([(row.file_path, row.category, row.labels) for row in rows])
    return CropFolder(folder, views, cut.size, source).fill(_each(rows, photos, cut))


def _each(rows: Sequence[Labelled], photos: Path, cut: Cut) -> Iterator[Square]:
    progress = Progress(len(rows), "photos", 1)
    for done, row in enumerate(rows, start=1):
        pictures = _squares(read_pixels(photos / row.file_path), cut)
        if pictures:
            yield f"{done:05d}_whole", row.category, row.labels, row.file_path, pictures
        progress.update(done, "")


def _squares(image: np.ndarray, cut: Cut) -> list[np.ndarray]:
    found, masks = cut.detect(image)
    if found is None:
        return [fit_square(image, cut.size)]
    if not len(found) or found.scores[0] < SURE:
        return []
    return cut(image, masks[0], found.boxes[0])

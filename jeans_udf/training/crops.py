"""Masked crops of annotated garments with their labels, cut as the tagging job cuts them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jeans_udf.config import ImageLimits
from jeans_udf.errors import ConfigError, near_miss
from jeans_udf.geometry import cutout, mask_box
from jeans_udf.images import decode_image
from jeans_udf.models.classifier import fit_square
from jeans_udf.training.coco import Photo
from jeans_udf.vocabulary import Vocabulary

MASK_SIDE = 28
"""Side of the masks that Mask R-CNN predicts within a box."""


@dataclass(frozen=True)
class Crop:
    """A crop's PNG file, its category and its labels."""

    file: Path
    category: str
    labels: tuple[str, ...]


def read_labels(
    file: str | Path, vocabulary: Vocabulary
) -> dict[tuple[str, int], tuple[str, tuple[str, ...]]]:
    """(photo name, annotation id) -> category and labels, from an attributes CSV.

    Columns: ``file_path``, ``annotation_id``, ``category`` and one for each group, labels of a
    multi-label group parted by ``;``. Rows without an annotation id have no mask and are left out.
    Raises `ConfigError` for a missing column or an unknown label, naming the line.
    """
    wanted = ["file_path", "annotation_id", "category", *(g.name for g in vocabulary.groups)]
    rows = {}
    try:
        with Path(file).open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in wanted if name not in (reader.fieldnames or [])]
            if missing:
                raise ConfigError(f"labels {file}: columns {missing} are missing")
            for row in reader:
                if row["annotation_id"]:
                    place = f"labels {file}: line {reader.line_num}"
                    key = (row["file_path"], int(float(row["annotation_id"])))
                    rows[key] = (row["category"], _labels(row, vocabulary, place))
    except OSError as error:
        raise ConfigError(f"labels {file}: cannot be read ({error.strerror})") from None
    return rows


def cut_crops(
    photos: Sequence[Photo],
    labels: dict[tuple[str, int], tuple[str, tuple[str, ...]]],
    folder: Path,
    size: int,
) -> list[Crop]:
    """Write each labelled garment of ``photos`` as a square PNG; files that exist are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    crops = []
    for photo in photos:
        image = None
        for index, number in enumerate(photo.annotation_ids):
            label = labels.get((photo.path.name, number))
            if label is None:
                continue
            target = folder / f"{photo.path.stem}_{number}.png"
            if not target.exists():
                if image is None:
                    image = decode_image(photo.path.read_bytes(), ImageLimits())
                square = fit_square(_cut(image, photo.masks()[index]), size)
                Image.fromarray(square).save(target, compress_level=1)
            crops.append(Crop(target, *label))
    return crops


def _cut(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    box = mask_box(mask)
    assert box is not None, "an annotation has an empty mask"
    return cutout(image, _as_predicted(mask, box), box)


def _as_predicted(mask: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The mask as coarse as a detector gives it, so that training sees what tagging sees."""
    left, top, right, bottom = (int(round(float(v))) for v in box)
    inner = Image.fromarray(mask[top:bottom, left:right].astype(np.float32))
    coarse = inner.resize((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX)
    fine = np.asarray(coarse.resize(inner.size, Image.Resampling.BILINEAR)) >= 0.5
    result = np.zeros_like(mask)
    result[top:bottom, left:right] = fine
    return result if fine.any() else mask


def _labels(row: dict[str, str], vocabulary: Vocabulary, place: str) -> tuple[str, ...]:
    found: list[str] = []
    for group in vocabulary.groups:
        values = [value for value in row[group.name].split(";") if value]
        for value in values:
            if value not in group.labels:
                raise ConfigError(
                    f"{place}: {group.name}: unknown {value!r}; {near_miss(value, group.labels)}"
                )
        if group.exclusive and len(values) > 1:
            raise ConfigError(f"{place}: {group.name}: got {values}, wanted one label or none")
        found += values
    return tuple(found)

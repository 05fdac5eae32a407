"""What a label file says: labelled pictures and garments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jeans_udf.errors import ConfigError
from jeans_udf.labels.faults import Fault


@dataclass(frozen=True)
class Labelled:
    """One row: a garment of a photo, or with ``annotation_id`` None the whole picture.

    ``file_path`` is relative to the photo folder, without ``.`` and ``..`` within; ``labels`` are
    in the vocabulary's order. ``row`` is the line of a CSV file or the row of a Parquet file.
    """

    file_path: str
    annotation_id: int | None
    category: str | None
    labels: tuple[str, ...]
    row: int


@dataclass(frozen=True)
class LabelFile:
    """A label file as read; ``rows`` has every row that can be read at all, faulty ones too."""

    path: Path
    unit: str
    """What ``row`` counts: line or row."""
    rows: tuple[Labelled, ...]
    faults: tuple[Fault, ...]
    photos: Path | None = None
    """Folder in which the photos were looked for."""

    @property
    def unlabelled(self) -> int:
        """Rows without a label: legal, since none of the labels may be true, but worth a look."""
        return sum(not row.labels for row in self.rows)


def garment_labels(file: LabelFile) -> Mapping[tuple[str, int], tuple[str, tuple[str, ...]]]:
    """(photo, annotation id) -> category and labels; rows of whole pictures are left out.

    Raises `ConfigError` when there is no row of an annotation, or one lacks a category.
    """
    found = {}
    for row in file.rows:
        if row.annotation_id is None:
            continue
        if row.category is None:
            raise ConfigError(
                f"labels {file.path}: {file.unit} {row.row}: annotation {row.annotation_id} has no "
                "category; wanted one of the vocabulary's in the column category"
            )
        found[row.file_path, row.annotation_id] = (row.category, row.labels)
    if not found:
        raise ConfigError(
            f"labels {file.path}: no row has an annotation_id, so no label belongs to a mask; "
            "wanted that column with the ids of the COCO file"
        )
    return found

"""The photos of a training: COCO sets, photos without garments, and proposals for Fast R-CNN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.proposals import read_proposals
from jeans_udf.models.detections import Proposals
from jeans_udf.training.coco import Photo, negatives_as_photos, read_coco, read_negatives


@dataclass(frozen=True)
class PhotoSets:
    """Photos, and the proposals of each by its path; empty for all but Fast R-CNN."""

    photos: list[Photo] = field(default_factory=list)
    proposals: dict[Path, Proposals] = field(default_factory=dict)

    @property
    def arrays(self) -> dict[Path, tuple[np.ndarray, np.ndarray]] | None:
        """Boxes and objectness logits, as `examples.Examples` takes them; None without any."""
        if not self.proposals:
            return None
        return {path: (found.boxes, found.logits) for path, found in self.proposals.items()}


def read_sets(
    folders: Sequence[str],
    files: Sequence[str],
    categories: tuple[str, ...],
    *,
    negatives: Sequence[tuple[str, str]] = (),
    proposals: Sequence[str] = (),
) -> PhotoSets:
    """The photos of COCO ``files`` in ``folders``, and ``negatives`` (folder, listing) each.

    ``proposals`` are Parquet files of ``jobs/write_proposals.py``, one for each folder, or none.
    Raises `ConfigError` when there are not as many of each, and for what the readers refuse.
    """
    _check_counts("--photos", folders, "--annotations", files)
    if proposals:
        _check_counts("--photos", folders, "--proposals", proposals)
        if negatives:
            raise ConfigError(
                "--negatives: a Fast R-CNN learns from photos whose proposals are given; list "
                "these photos in a COCO file without annotations instead"
            )
    sets = PhotoSets()
    for k, (folder, file) in enumerate(zip(folders, files, strict=True)):
        photos = read_coco(folder, file, categories)
        sets.photos.extend(photos)
        if proposals:
            found = read_proposals(proposals[k], photos, folder)
            sets.proposals.update({photo.path: found[photo.coco_id] for photo in photos})
    for folder, listing in negatives:
        sets.photos.extend(negatives_as_photos(read_negatives(listing, folder)))
    return sets


def _check_counts(name: str, many: Sequence[str], other: str, others: Sequence[str]) -> None:
    if len(many) != len(others):
        raise ConfigError(
            f"{name} is given {len(many)} times, {other} {len(others)} times; wanted one file for "
            "each folder, in the same order"
        )

"""The crops of a classifier's training: label files, COCO masks and photos without garments."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jeans_udf.errors import ConfigError
from jeans_udf.labels.counting import counts_table
from jeans_udf.labels.dropping import settle
from jeans_udf.labels.faults import summary
from jeans_udf.labels.labelled import LabelFile, Labelled, garment_labels
from jeans_udf.labels.reading import read_labels
from jeans_udf.labels.splits import check_splits, split_rows
from jeans_udf.training.coco import negatives_as_photos, read_coco, read_negatives
from jeans_udf.training.crop_folder import Crop
from jeans_udf.training.crops import Cut, cut_crops
from jeans_udf.training.pictures import cut_pictures
from jeans_udf.vocabulary import Vocabulary


@dataclass(frozen=True)
class LabelledSet:
    """Photos and their label file; with ``annotations`` (COCO) the rows that name one are cut by
    its mask. Rows of whole photos are the garment that the detector finds, or the photo itself
    where the set has no annotations."""

    photos: Path
    labels: Path
    annotations: Path | None = None


@dataclass(frozen=True)
class Sources:
    """Everything that crops are cut from; without ``valid``, a fifth of the photos is kept back."""

    train: Sequence[LabelledSet]
    valid: LabelledSet | None
    negatives: Sequence[tuple[str, str]] = ()
    """(folder, text file with one path a line) of photos that show no garment."""
    dropped: Collection[str] = ()
    """Codes of faults whose rows are left out."""


def gather_crops(
    sources: Sources, vocabulary: Vocabulary, cut: Cut, folder: Path
) -> tuple[list[Crop], list[Crop]]:
    """Crops to learn from and to be judged on, as PNG below ``folder``.

    How many rows each label has goes to standard error. Raises `ConfigError` for faulty label files
    (see `labels.dropping`), photos of both splits, and what the readers refuse.
    """
    train, valid = _label_files(sources, vocabulary)
    parts = {"train": [row for file in train for row in file.rows], "val": list(valid.rows)}
    print(counts_table(parts, vocabulary), file=sys.stderr)
    crops = []
    for number, (each, file) in enumerate(zip(sources.train, train, strict=True)):
        crops += _cut_set(each, file, vocabulary, cut, folder / f"train_{number}")
    if sources.negatives and cut.detector is None:
        raise ConfigError(
            "--negatives: crops without garments are what a detector wrongly finds on these "
            "photos; give --detector"
        )
    for number, (place, listing) in enumerate(sources.negatives):
        photos = negatives_as_photos(read_negatives(listing, place))
        crops += cut_crops(photos, {}, folder / f"negatives_{number}", cut, Path(place))
    judged = _cut_set(sources.valid or sources.train[0], valid, vocabulary, cut, folder / "valid")
    if not crops or not judged:
        raise ConfigError(f"{len(crops)} crops for training, {len(judged)} for validation; wanted "
                          "some of each: do the labels belong to these photos?")  # fmt: skip
    return crops, judged


def _label_files(
    sources: Sources, vocabulary: Vocabulary
) -> tuple[list[LabelFile], LabelFile]:
    train = [read_labels(each.labels, vocabulary, each.photos) for each in sources.train]
    if sources.valid is not None:
        valid = read_labels(sources.valid.labels, vocabulary, sources.valid.photos)
        *train, valid = settle([*train, check_splits(train, valid)], sources.dropped)
    else:
        if len(train) != 1:
            raise ConfigError(
                f"{len(train)} sets without --val-labels; wanted validation labels, or one set "
                "alone, of which a fifth of the photos is kept back for validation"
            )
        train = settle(train, sources.dropped)
        split = split_rows(train[0].rows)
        train, valid = [replace(train[0], rows=split.train)], replace(train[0], rows=split.val)
    faults = [fault for file in (*train, valid) for fault in file.faults]
    if faults:
        print(f"left out:\n{summary(faults)}", file=sys.stderr)
    return train, valid


def _cut_set(
    each: LabelledSet, file: LabelFile, vocabulary: Vocabulary, cut: Cut, folder: Path
) -> list[Crop]:
    whole = [row for row in file.rows if row.annotation_id is None]
    if each.annotations is None:
        return cut_pictures(whole, each.photos, folder, cut)
    photos = read_coco(each.photos, each.annotations, vocabulary.categories)
    crops = cut_crops(photos, garment_labels(file), folder, cut, each.photos)
    if cut.detector is not None:
        return crops + cut_pictures(_unseen(whole, crops), each.photos, folder / "whole", cut)
    if whole:
        print(f"{file.path}: {len(whole)} rows without annotation_id left out: without a "
              "--detector there is no telling where the garment is", file=sys.stderr)  # fmt: skip
    return crops


def _unseen(rows: Sequence[Labelled], crops: Sequence[Crop]) -> list[Labelled]:
    """Rows of photos that are not annotated besides."""
    annotated = {crop.photo for crop in crops}
    return [row for row in rows if row.file_path not in annotated]

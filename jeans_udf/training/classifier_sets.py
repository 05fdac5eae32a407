"""The crops of a classifier's training: label files, COCO masks and photos without garments."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.truth import read_truth
from jeans_udf.labels.counting import counts_table
from jeans_udf.labels.dropping import settle
from jeans_udf.labels.faults import summary
from jeans_udf.labels.labelled import LabelFile, Labelled, garment_labels
from jeans_udf.labels.reading import read_labels
from jeans_udf.labels.splits import check_splits, split_rows
from jeans_udf.training.coco import Photo, negatives_as_photos, read_negatives
from jeans_udf.training.crop_folder import Crop
from jeans_udf.training.crops import Cut, cut_crops, name_below
from jeans_udf.training.pictures import cut_pictures
from jeans_udf.vocabulary import Vocabulary


@dataclass(frozen=True)
class LabelledSet:
    """Photos and their label file; with ``annotations`` (COCO) the rows that name one are cut by
    its mask. Other rows are the garment that the detector finds, or without one, where the set has
    no annotations, the photo as it is."""

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
    if sources.negatives and cut.detector is None:
        raise ConfigError(
            "--negatives: crops without garments are what a detector wrongly finds on these "
            "photos; give --detector"
        )
    train, valid = _label_files(sources, vocabulary)
    learnt, kept_back = _sides(sources, train, valid)
    parts = {"train": [row for file in train for row in file.rows], "val": list(valid.rows)}
    print(counts_table(parts, vocabulary), file=sys.stderr)
    crops = []
    for number, (each, file) in enumerate(zip(sources.train, train, strict=True)):
        crops += _cut_set(each, file, vocabulary, cut, folder / f"train_{number}", learnt)
    for number, (place, listing) in enumerate(sources.negatives):
        photos = negatives_as_photos(read_negatives(listing, place))
        crops += cut_crops(photos, {}, folder / f"negatives_{number}", cut, Path(place))
    judged = _cut_set(
        sources.valid or sources.train[0], valid, vocabulary, cut, folder / "valid", kept_back
    )
    if len(crops) < 2 or not judged:
        raise ConfigError(
            f"{len(crops)} crops for training, {len(judged)} for validation; wanted two and one at "
            "least: do the labels belong to these photos?"
        )
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


def _sides(
    sources: Sources, train: Sequence[LabelFile], valid: LabelFile
) -> tuple[Callable[[str], bool], Callable[[str], bool]]:
    """Which photos without annotations are training's, and which validation's, by their names.

    All of the set that they are in; of one set that is parted, a fifth of those that no row names.
    """
    if sources.valid is not None:
        return (lambda name: True), (lambda name: True)
    named = {row.file_path for file in (*train, valid) for row in file.rows}

    def kept_back(name: str) -> bool:
        return hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()[0] % 5 == 0

    return (
        lambda name: name not in named and not kept_back(name),
        lambda name: name not in named and kept_back(name),
    )


def _cut_set(
    each: LabelledSet,
    file: LabelFile,
    vocabulary: Vocabulary,
    cut: Cut,
    folder: Path,
    empty: Callable[[str], bool],
) -> list[Crop]:
    """Crops of the rows of ``file``; ``empty`` photos without annotations show no garment."""
    if each.annotations is None:
        return cut_pictures(_alone(file), each.photos, folder, cut)
    whole = [row for row in file.rows if row.annotation_id is None]
    named = {row.file_path for row in whole}

    def taken(photo: Photo) -> bool:
        # What is labelled as a whole shows a garment, though nobody drew its mask.
        name = name_below(photo.path, each.photos)
        return bool(photo.classes) or (name not in named and empty(name))

    photos = read_truth(each.photos, each.annotations, vocabulary.categories).photos
    crops = cut_crops(
        [photo for photo in photos if taken(photo)], garment_labels(file), folder, cut, each.photos
    )
    if cut.detector is not None:
        return crops + cut_pictures(_unseen(whole, crops), each.photos, folder / "whole", cut)
    if whole:
        print(f"{file.path}: {len(whole)} rows without annotation_id left out: without a "
              "--detector there is no telling where the garment is", file=sys.stderr)  # fmt: skip
    return crops


def _alone(file: LabelFile) -> list[Labelled]:
    """Rows of photos that have no other: of several garments none is the photo. Tells the rest."""
    counts = Counter(row.file_path for row in file.rows)
    several = [name for name, count in counts.items() if count > 1]
    if several:
        print(f"{file.path}: {len(several)} photos with several rows left out, such as "
              f"{several[0]}: --annotations would tell where each is",
              file=sys.stderr)  # fmt: skip
    return [row for row in file.rows if counts[row.file_path] == 1]


def _unseen(rows: Sequence[Labelled], crops: Sequence[Crop]) -> list[Labelled]:
    """Rows of photos that are not annotated besides."""
    annotated = {crop.photo for crop in crops}
    return [row for row in rows if row.file_path not in annotated]

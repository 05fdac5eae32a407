"""Labels that people gave, beside those of the tables: figures of each label."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf.errors import ConfigError, TableError
from jeans_udf.evaluation.labels import attribute_figures
from jeans_udf.labels.dropping import load_labels
from jeans_udf.labels.labelled import LabelFile, Labelled
from jeans_udf.report.data import LabelQuality, Quality
from jeans_udf.report.samples import Frames
from jeans_udf.views.groups import groups_of
from jeans_udf.vocabulary import Group, Vocabulary

Answers = Mapping[str, Mapping[str, Any]]
"""Category and attributes of the best garment, by image_id; null where there is no garment."""


def label_quality(
    spark: SparkSession, frames: Frames, truth: str, dropped: Collection[str] = ()
) -> Quality:
    """The best garment of each image of a label file against what the file says.

    A row is of the image whose image_id is its ``file_path``, or the longest end of that path.
    Raises `ConfigError` for a file that cannot be read, or of which no image is in the tables.
    """
    vocabulary = vocabulary_of(frames.garments.schema)
    rows = _of_images(load_labels(truth, vocabulary, dropped=dropped))
    answers = _answers(spark, frames, rows)
    pairs = _pairs(rows, answers)
    if not pairs:
        raise ConfigError(
            f"labels {truth}: none of its {len(rows):,} images is in the tables, the first is "
            f"{rows[0].file_path!r}; wanted an image_id of them, or a path that ends in one"
        )
    return _quality(truth, len(rows), pairs, vocabulary)


def vocabulary_of(garments: T.StructType) -> Vocabulary:
    """The vocabulary, as the columns' comments tell it; all groups apply to all categories.

    A truth may say more of a garment than the model is asked for.
    """
    groups = groups_of(garments)
    for name in ("category", *groups.all):
        if name not in groups.labels:
            raise TableError(
                f"table garments: the comment of column {name} does not tell its labels, so a "
                "label file cannot be read; tag_catalog.py writes comments anew"
            )
    categories = groups.labels["category"]
    return Vocabulary(
        categories,
        tuple(
            Group(name, groups.labels[name], name in groups.exclusive,
                  frozenset(categories))
            for name in garments.names if name in groups.all
        ),
    )  # fmt: skip


def _of_images(file: LabelFile) -> list[Labelled]:
    """Rows that are alone with their photo: of several garments it is not known which is meant."""
    by_photo: defaultdict[str, list[Labelled]] = defaultdict(list)
    for row in file.rows:
        by_photo[row.file_path].append(row)
    alone = [rows[0] for rows in by_photo.values() if len(rows) == 1]
    if not alone:
        raise ConfigError(
            f"labels {file.path}: every photo has several rows; wanted one that has one for some"
        )
    return alone


def _answers(spark: SparkSession, frames: Frames, rows: Sequence[Labelled]) -> Answers:
    """As many images a row of the file as its path has parts, whatever the catalog's size."""
    keys = {name for row in rows for name in _ends(row.file_path)}
    wanted = spark.createDataFrame([(key,) for key in sorted(keys)], "image_id string")
    best = frames.garments.where("garment_no = 0").select("image_id", "category", "attributes")
    found = (
        frames.image_status.select("image_id")
        .join(F.broadcast(wanted), "image_id", "left_semi")
        .join(best, "image_id", "left")
    )
    return {row["image_id"]: row.asDict() for row in found.collect()}


def _ends(path: str) -> list[str]:
    """``a/b/c``, ``b/c`` and ``c``: labels may be of a folder above the one that was ingested."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _pairs(
    rows: Sequence[Labelled], answers: Answers
) -> list[tuple[Labelled, Mapping[str, Any]]]:
    found = [(row, next((end for end in _ends(row.file_path) if end in answers), None))
             for row in rows]  # fmt: skip
    claims = Counter(image_id for _, image_id in found)
    # Of two rows that end alike only the one with the very image_id is known to be meant.
    return [
        (row, answers[image_id]) for row, image_id in found
        if image_id is not None and (claims[image_id] == 1 or image_id == row.file_path)
    ]  # fmt: skip


def _quality(
    truth: str, labelled: int, pairs: Sequence[tuple[Labelled, Mapping[str, Any]]],
    vocabulary: Vocabulary,
) -> Quality:  # fmt: skip
    figures = attribute_figures(
        _table([row.labels for row, _ in pairs], vocabulary),
        _table([found["attributes"] or () for _, found in pairs], vocabulary),
        vocabulary,
    )
    labels = tuple(
        LabelQuality(group.name, label, **figures["labels"][label])
        for group in vocabulary.groups for label in group.labels
    )  # fmt: skip
    support = sum(one.support for one in labels)
    both = [(row.category, found["category"]) for row, found in pairs]
    told = [said == true for true, said in both if true and said]
    return Quality(
        truth=Path(truth).name,
        labelled=labelled,
        found=len(pairs),
        empty=sum(found["category"] is None for _, found in pairs),
        labels=labels,
        micro=LabelQuality("", "", figures["micro_precision"], figures["micro_recall"],
                           figures["micro_f1"], support) if support else None,
        macro_f1=figures["macro_f1"] if support else None,
        category_right=sum(told) / len(told) if told else None,
    )  # fmt: skip


def _table(rows: Sequence[Collection[str]], vocabulary: Vocabulary) -> np.ndarray:
    """(N, L) bool."""
    return np.array([[label in row for label in vocabulary.labels] for row in rows], dtype=bool)

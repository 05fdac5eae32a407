"""Training and validation rows: parted by photo with a seed, or given and checked."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jeans_udf.errors import ConfigError
from jeans_udf.labels.faults import FaultLog
from jeans_udf.labels.labelled import LabelFile, Labelled

SHARE, SEED = 0.2, 42
"""As in the original project's notebooks."""


@dataclass(frozen=True)
class Split:
    """Rows to learn from and rows to be judged on, no photo in both."""

    train: tuple[Labelled, ...]
    val: tuple[Labelled, ...]


def split_rows(rows: Sequence[Labelled], share: float = SHARE, seed: int = SEED) -> Split:
    """Part ``rows`` so that the share of the *photos* that goes to validation is ``share``.

    The nearest whole number of photos, at least one and not all; all rows of a photo on one side.
    The same photos, share and seed give the same, in any order of the rows and on any machine.
    Raises `ConfigError` for another share, or fewer than two photos.
    """
    if not 0 < share < 1:
        raise ConfigError(f"split: share {share}, wanted one between 0 and 1, such as {SHARE}")
    photos = sorted({row.file_path for row in rows}, key=lambda name: _chance(name, seed))
    if len(photos) < 2:
        raise ConfigError(
            f"split: {len(photos)} photos, wanted at least 2; give files of their own for training "
            "and validation"
        )
    count = min(max(round(share * len(photos)), 1), len(photos) - 1)
    chosen = set(photos[:count])
    return Split(
        tuple(row for row in rows if row.file_path not in chosen),
        tuple(row for row in rows if row.file_path in chosen),
    )


def check_splits(train: Sequence[LabelFile], val: LabelFile) -> LabelFile:
    """``val`` with a fault at each row of a photo that a file of ``train`` names, too.

    Photos are the same by folder and name where every file was read with its photo folder, else
    by name alone. The row of validation is at fault: what is learnt must not be asked for.
    """
    by_folder = all(file.photos is not None for file in (*train, val))
    trained: dict[str, str] = {}
    for file in train:
        for row in file.rows:
            place = f"{file.path}: {file.unit} {row.row}"
            trained.setdefault(_photo(file, row, by_folder), place)
    log = FaultLog(val.path, val.unit)
    for row in val.rows:
        other = trained.get(_photo(val, row, by_folder))
        if other is not None:
            log.add("photo_in_both_splits", row.row, row.file_path, f"is trained on: {other}")
    return replace(val, faults=(*val.faults, *log.faults))


def _photo(file: LabelFile, row: Labelled, by_folder: bool) -> str:
    if not by_folder:
        return row.file_path
    assert file.photos is not None
    return os.path.normpath(os.path.join(os.path.abspath(file.photos), row.file_path))


def _chance(name: str, seed: int) -> str:
    """A number by chance that hangs on the seed and the photo's name alone."""
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()

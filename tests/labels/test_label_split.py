"""Rows are parted by photo, the same way each time, and given parts are checked."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from label_files import VOCABULARY, codes, write

from jeans_udf.errors import ConfigError
from jeans_udf.labels.labelled import Labelled
from jeans_udf.labels.reading import read_labels
from jeans_udf.labels.splits import check_splits, split_rows


def rows(photos: int, each: int = 1) -> list[Labelled]:
    return [Labelled(f"p{n}.jpg", k, "jeans", ("dark",), n * each + k)
            for n in range(photos) for k in range(each)]  # fmt: skip


def names(part: tuple[Labelled, ...]) -> set[str]:
    return {row.file_path for row in part}


@pytest.mark.parametrize(
    ("photos", "share", "val"),
    [(100, 0.2, 20), (101, 0.2, 20), (103, 0.2, 21), (100, 0.29, 29), (2, 0.2, 1), (3, 0.9, 2)],
)
def test_the_share_of_photos_is_exact(photos: int, share: float, val: int) -> None:
    split = split_rows(rows(photos, each=3), share)
    assert len(names(split.val)) == val and len(split.val) == 3 * val
    assert len(split.train) == 3 * (photos - val)
    assert not names(split.train) & names(split.val), "all rows of a photo are on one side"


def test_the_seed_decides_and_the_order_does_not() -> None:
    listed = rows(50, each=2)
    first = split_rows(listed)
    shuffled = random.Random(1).sample(listed, len(listed))
    again = split_rows(shuffled)
    assert names(first.val) == names(again.val) != names(split_rows(listed, seed=7).val)
    assert list(again.train) == [row for row in shuffled if row.file_path in names(first.train)]
    # Written down, so that no later version parts a user's photos otherwise.
    assert names(split_rows(rows(10)).val) == {"p2.jpg", "p7.jpg"}


@pytest.mark.parametrize("share", [0, 1, -0.1, 80, float("nan")])
def test_another_share_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        split_rows(rows(10), share)


def test_one_photo_cannot_be_parted() -> None:
    for listed in ([], rows(1, each=5)):
        with pytest.raises(ConfigError, match="wanted at least 2"):
            split_rows(listed)


def test_a_photo_in_both_files_is_a_fault_of_validation(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            (tmp_path / folder / name).write_bytes(b"photo")
    train = write(tmp_path, "file_path,label\na.jpg,dark\nb.jpg,dark\n", "train.csv")
    val = write(tmp_path, "file_path,label\nc.jpg,dark\nx/../b.jpg,dark\n", "val.csv")
    learnt, asked = read_labels(train, VOCABULARY), read_labels(val, VOCABULARY)
    checked = check_splits([learnt], asked)
    assert codes(checked) == [("photo_in_both_splits", 3)] and checked.rows == asked.rows
    assert "train.csv: line 3" in checked.faults[0].detail
    # The same name in another folder is another photo.
    one, two = tmp_path / "one", tmp_path / "one/../two"
    learnt = read_labels(train, VOCABULARY, one)
    assert codes(check_splits([learnt], read_labels(val, VOCABULARY, two))) == []
    assert len(check_splits([learnt], read_labels(val, VOCABULARY, two / "../one")).faults) == 1

"""Label files, read and checked in one go: the notebooks' own, and one column a group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jeans_udf.errors import ConfigError
from jeans_udf.labels.csv_table import open_csv
from jeans_udf.labels.faults import FaultLog
from jeans_udf.labels.labelled import LabelFile, Labelled
from jeans_udf.labels.layout import find_layout
from jeans_udf.labels.parquet_table import open_parquet
from jeans_udf.labels.photos import log_missing_photos
from jeans_udf.labels.rows import RowReader
from jeans_udf.labels.table import MOST_ROWS, Table
from jeans_udf.vocabulary import Vocabulary

LARGEST_FILE = 1_000_000_000
"""Bytes."""


def read_labels(
    path: str | Path, vocabulary: Vocabulary, photos: str | Path | None = None
) -> LabelFile:
    """The rows of a CSV or Parquet file with their faults; nothing is refused or dropped yet.

    Columns: ``file_path``; ``annotation_id`` and ``category`` if there are any; and either one for
    each group of the vocabulary (labels of a cell parted by ``;``, in Parquet also lists), or
    ``label`` with all of them parted by spaces, among which a category may stand. Groups win when
    both are there. A vocabulary of one category gives it to every row without one. With
    ``photos``, a folder, each photo must be in it.

    Raises `ConfigError` for a file that is no table of that kind at all.
    """
    path = Path(path)
    table = _open(path)
    layout = find_layout(table.columns, vocabulary, path)
    log = FaultLog(path, table.unit)
    reader = RowReader(layout, vocabulary, log)
    rows = []
    for count, raw in enumerate(table.rows(layout.columns)):
        if count == MOST_ROWS:
            raise ConfigError(f"labels {path}: more than {MOST_ROWS:,} rows; split the file")
        row = reader.read(raw)
        if row is not None:
            rows.append(row)
    if not rows and not log.faults:
        raise ConfigError(f"labels {path}: has no row behind the header")
    _log_duplicates(rows, log)
    folder = None if photos is None else Path(photos)
    if folder is not None:
        log_missing_photos(rows, folder, log)
    return LabelFile(path, table.unit, tuple(rows), tuple(log.faults), folder)


def _open(path: Path) -> Table:
    """By the first bytes and not by the name: a Parquet file called .csv is one all the same."""
    place = f"labels {path}"
    try:
        if path.is_dir():
            raise ConfigError(f"{place}: is a folder, wanted a CSV or Parquet file; of a folder "
                              "written by Spark give the one part-….parquet")  # fmt: skip
        if not path.is_file():
            raise ConfigError(f"{place}: no regular file of that name")
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{place}: more than {LARGEST_FILE:,} bytes; split the file")
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read ({error.strerror})") from None
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(f"{place}: is UTF-16; save it as UTF-8")
    is_parquet = start == b"PAR1" or path.suffix.lower() == ".parquet"
    opener: Callable[[Path], Table] = open_parquet if is_parquet else open_csv
    return opener(path)


def _log_duplicates(rows: list[Labelled], log: FaultLog) -> None:
    """Rows of the same garment, or of the same whole picture.

    Of rows that say the same, the first is sound. When they differ, nobody knows which is right,
    so each is at fault.
    """
    groups: dict[tuple[str, int | None], list[Labelled]] = {}
    for row in rows:
        groups.setdefault((row.file_path, row.annotation_id), []).append(row)
    for (name, _), same in groups.items():
        first = same[0]
        if all((row.category, row.labels) == (first.category, first.labels) for row in same):
            for row in same[1:]:
                log.add("duplicate_row", row.row, name, f"says the same as {log.unit} {first.row}")
            continue
        for row in same:
            other = first if row is not first else same[1]
            log.add("duplicate_row", row.row, name,
                    f"{log.unit} {other.row} is of the same, and they differ")  # fmt: skip

"""CSV files that anybody may have written, read strictly and line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jeans_udf.errors import ConfigError
from jeans_udf.labels.table import RawRow, Table

LONGEST_FIELD = 10_000_000
"""Characters that the reader takes up at most, so that an open quote does not fill the memory."""


def open_csv(path: Path) -> Table:
    """The header is read; raises `ConfigError` for a file without one."""
    with _reader(path) as reader:
        header = [name.strip() for name in next(reader, [])]
    if not header:
        raise ConfigError(f"labels {path}: is empty, wanted a header and rows")

    def rows(columns: Sequence[str]) -> Iterator[RawRow]:
        return _rows(path, header, columns)

    return Table(tuple(header), "line", rows)


def _rows(path: Path, header: list[str], columns: Sequence[str]) -> Iterator[RawRow]:
    wanted = [header.index(name) for name in columns]
    with _reader(path) as reader:
        next(reader, None)
        begin = reader.line_num + 1
        for row in reader:
            if row:
                problem = _problem(row, header)
                values = [] if problem else [row[number] for number in wanted]
                yield RawRow(begin, values, problem)
            # A row may take several lines, and its first one is where to look.
            begin = reader.line_num + 1


def _problem(row: list[str], header: list[str]) -> str:
    if len(row) != len(header):
        return (
            f"{len(row)} fields, wanted the header's {len(header)}; quote fields that hold a comma"
        )
    # Files that were put behind each other.
    return "the header again" if [cell.strip() for cell in row] == header else ""


@contextmanager
def _reader(path: Path) -> Iterator[Any]:
    """A strict CSV reader; bytes that are not UTF-8 come as half surrogates."""
    # For the whole process, to what jeans_udf.listing sets, too.
    csv.field_size_limit(LONGEST_FIELD)
    reader = None
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.reader(file, strict=True)
            yield reader
    except OSError as error:
        raise ConfigError(f"labels {path}: cannot be read ({error.strerror})") from None
    except csv.Error as error:
        line = reader.line_num if reader is not None else 1
        raise ConfigError(
            f"labels {path}: no CSV, at line {line} or before: {error}; is a quote not closed?"
        ) from None

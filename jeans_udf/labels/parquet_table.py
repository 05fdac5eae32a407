"""Parquet files that anybody may have written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jeans_udf.annotations.faults import printable
from jeans_udf.errors import ConfigError
from jeans_udf.labels.table import MOST_ROWS, RawRow, Table

BATCH = 1000
"""Rows that are unpacked at once."""
UNREADABLE = "\udcff"
"""Stands for a value that Python cannot hold, as a byte that is not UTF-8 does."""


def open_parquet(path: Path) -> Table:
    """The footer is read; raises `ConfigError` for a file that is none, or too large unpacked."""
    with _told(path), pq.ParquetFile(path) as file:
        columns = tuple(file.schema_arrow.names)
        if _most_values(file.metadata) > MOST_ROWS:
            raise ConfigError(
                f"labels {path}: a column of more than {MOST_ROWS:,} values; split the file"
            )

    def rows(wanted: Sequence[str]) -> Iterator[RawRow]:
        return _rows(path, wanted)

    return Table(columns, "row", rows)


def _most_values(metadata: Any) -> int:
    """Values, those in lists too, of the column that has the most: a small file can hold many."""
    totals: Counter[int] = Counter()
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            totals[column] += metadata.row_group(group).column(column).num_values
    return max(totals.values(), default=0)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[RawRow]:
    with _told(path), pq.ParquetFile(path) as file:
        number = 0
        for batch in file.iter_batches(BATCH, columns=list(columns), use_threads=False):
            cells = [_values(batch.column(name)) for name in columns]
            for values in zip(*cells, strict=True):
                number += 1
                yield RawRow(number, list(values), "")


def _values(column: pa.Array) -> list[Any]:
    try:
        return column.to_pylist()
    except (ValueError, OverflowError):  # bytes that are not UTF-8, years beyond 9999
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        return UNREADABLE


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        raise ConfigError(
            f"labels {path}: no Parquet file that can be read: {printable(lines[0], 200)}"
        ) from None

"""Stock readers of Delta tables, as analysts have them; all but Spark know nothing of it.

Each gives the rows of a table as a list of dicts with plain values: `digests` then says the same of
the same values, whoever read them.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]


def duckdb_connection() -> Any:
    """DuckDB with its own Delta extension, loaded from the package that brings it."""
    import duckdb
    import duckdb_extension_delta

    folder = Path(duckdb_extension_delta.__file__).parent / "extensions"
    (extension,) = folder.glob(f"v{duckdb.__version__}/delta.duckdb_extension")
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def read_spark(spark: Any, table: str) -> Rows:
    frame = spark.read.format("delta").load(table)
    return [row.asDict(recursive=True) for row in frame.collect()]


def read_duckdb(table: str) -> Rows:
    found = duckdb_connection().execute(f"SELECT * FROM delta_scan('{table}')")
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def read_polars(table: str) -> Rows:
    import polars

    return polars.read_delta(table).to_dicts()


def read_deltalake(table: str) -> Rows:
    from deltalake import DeltaTable

    return DeltaTable(table).to_pyarrow_table().to_pylist()


def digests(rows: Rows, key: str, single: Collection[str] = ()) -> dict[str, str]:
    """SHA-256 of every column, its values in the order of the key, names parted by spaces.

    Columns in ``single`` hold single floats that came as text: equal where these are.
    """
    names = key.split()
    rows = [
        row | {name: rounded(row[name]) for name in single if row[name] is not None} for row in rows
    ]
    rows = sorted(rows, key=lambda row: [row[name] for name in names])
    return {
        name: hashlib.sha256(json.dumps([plain(row[name]) for row in rows]).encode()).hexdigest()
        for name in sorted(rows[0])
    }


def rounded(value: float) -> float:
    """The single float that is nearest, as a double."""
    (found,) = struct.unpack("<f", struct.pack("<f", value))
    return float(found)


def plain(value: Any) -> Any:
    """A value as JSON has it: readers name the same things by different types."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, datetime):
        # Spark's session is in UTC and gives moments without a zone.
        return value.astimezone(UTC).isoformat() if value.tzinfo else f"{value.isoformat()}+00:00"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float | Decimal):
        # Single floats come as the same doubles from all.
        return struct.pack("<d", float(value)).hex()
    if isinstance(value, Mapping):
        pairs = zip(value["key"], value["value"], strict=True) if value.keys() == {
            "key", "value"} and isinstance(value["key"], list) else value.items()  # fmt: skip
        return {str(name): plain(one) for name, one in sorted(pairs)}
    if isinstance(value, list | tuple):
        if not value:
            return {}  # an empty list, or an empty map of a reader that has them as lists
        if all(_is_pair(one) for one in value):
            return {str(name): plain(one) for name, one in sorted(map(_pair, value))}
        return [plain(one) for one in value]
    return value


def _is_pair(one: Any) -> bool:
    """Whether it is an entry of a map, which Arrow has as a list of them."""
    if isinstance(one, Mapping):
        return one.keys() == {"key", "value"}
    return isinstance(one, tuple) and len(one) == 2


def _pair(one: Any) -> tuple[Any, Any]:
    return (one["key"], one["value"]) if isinstance(one, Mapping) else one

"""Stock readers of Delta tables that know nothing of Spark, as analysts have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def duckdb_connection() -> Any:
    """DuckDB with its own Delta extension, loaded from the package that brings it."""
    import duckdb
    import duckdb_extension_delta

    folder = Path(duckdb_extension_delta.__file__).parent / "extensions"
    (extension,) = folder.glob(f"v{duckdb.__version__}/delta.duckdb_extension")
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'")
    return connection

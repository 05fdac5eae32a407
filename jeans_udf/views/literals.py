"""Names and texts as Spark SQL writes them."""

from __future__ import annotations


def quoted(name: str) -> str:
    """A column's name; those of a vocabulary hold no backtick."""
    return f"`{name}`"


def sql_text(value: str) -> str:
    """A literal of Spark SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"



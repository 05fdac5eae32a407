"""A file of rows, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MOST_ROWS = 10_000_000
"""Rows of a file; their memory is bounded by that."""


class RawRow(NamedTuple):
    """The cells of the columns asked for; with a ``problem`` they could not be told apart."""

    number: int
    values: list[Any]
    problem: str


@dataclass(frozen=True)
class Table:
    """Names of the columns, and a way to read some of them."""

    columns: tuple[str, ...]
    unit: str
    """What a row's number counts: line or row, from 1."""
    rows: Callable[[Sequence[str]], Iterator[RawRow]]

"""Names and texts as Spark SQL writes them."""

from __future__ import annotations

from itertools import combinations


def quoted(name: str) -> str:
    """A column's name; those of a vocabulary hold no backtick."""
    return f"`{name}`"


def shared_masks(bits: int) -> list[int]:
    """Masks of int64; values that differ in at most ``bits`` bits agree under one of them.

    Each shows two of ``bits`` + 2 parts, since that many differences leave two parts alike. One of
    ``bits`` + 1 parts would do, too, and bring a hundred times as many pairs to look at.
    """
    edges = [64 * part // (bits + 2) for part in range(bits + 3)]
    parts = [(1 << high) - (1 << low) for low, high in zip(edges, edges[1:], strict=False)]
    masks = [one | other for one, other in combinations(parts, 2)]
    return [mask - (1 << 64) if mask >> 63 else mask for mask in masks]


def sql_text(value: str) -> str:
    """A literal of Spark SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

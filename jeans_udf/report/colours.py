"""Colours of categories: white text is readable on each, and each stands out from denim."""

from __future__ import annotations

from collections.abc import Iterable

SHIPPED = {
    "jeans": "#c2410c",
    "denim_shorts": "#a16207",
    "trousers": "#0f766e",
    "shorts": "#7c3aed",
    "leggings": "#be185d",
}
"""Fixed, so that two reports can be laid side by side."""
OTHERS = ("#15803d", "#b91c1c", "#0369a1", "#86198f", "#4d7c0f", "#92400e")


def category_colours(categories: Iterable[str]) -> dict[str, str]:
    """``#rrggbb`` by category; those of other vocabularies take turns, in the order of names."""
    colours = {}
    for index, name in enumerate(sorted(set(categories) - set(SHIPPED))):
        colours[name] = OTHERS[index % len(OTHERS)]
    return SHIPPED | colours


def rgb(colour: str) -> tuple[int, int, int]:
    """``#rrggbb`` as numbers of 0 to 255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)

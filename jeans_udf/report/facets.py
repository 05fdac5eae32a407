"""What the page's filters choose from, and what the script is told of each card.

The vocabulary is that of the cards: every group of their attributes becomes a filter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jeans_udf.report.data import GarmentCard, PhotoCard

CATEGORY = "category"
NO_ANSWER = "-"
"""In the place of a label where the model abstains; no label can be called so."""


@dataclass(frozen=True)
class Facet:
    """One group with its labels, the most frequent first, and the photos that show each."""

    group: str
    labels: tuple[tuple[str, int], ...]


def facets(cards: Iterable[PhotoCard]) -> list[Facet]:
    """``category`` first, then the groups in the order in which garments have them."""
    found: dict[str, Counter[str]] = {CATEGORY: Counter()}
    for card in cards:
        # A photo counts once: the number beside a label is what choosing it leaves.
        pairs = {(g, label): None for one in card.garments for g, label in _pairs(one)}
        for group, label in pairs:
            found.setdefault(group, Counter())[label] += 1
    return [
        Facet(group, tuple(sorted(counts.items(), key=_by_count)))
        for group, counts in found.items() if counts
    ]  # fmt: skip


def garment_facts(card: PhotoCard) -> list[dict[str, Any]]:
    """Of each garment, those without room on the card too: whole percents, as they are shown."""
    facts = []
    for garment in card.garments:
        labels: dict[str, list[str]] = {}
        for group, label in _pairs(garment):
            labels.setdefault(group, []).append(label)
        facts.append({"score": int(f"{100 * garment.score:.0f}"), "labels": labels})
    return facts


def _pairs(garment: GarmentCard) -> list[tuple[str, str]]:
    pairs = [(CATEGORY, garment.category)]
    return pairs + [(a.group, NO_ANSWER if a.label is None else a.label)
                    for a in garment.attributes]  # fmt: skip


def _by_count(item: tuple[str, int]) -> tuple[bool, int, str]:
    """What was not answered comes last."""
    return item[0] == NO_ANSWER, -item[1], item[0]

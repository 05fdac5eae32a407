"""The numbers by which a bundle's models decide, checked before any model is loaded."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jeans_udf.errors import BundleError
from jeans_udf.vocabulary import Vocabulary

VERDICT = "category"
"""The name of the verdict's temperature."""


def check_numbers(manifest: Mapping[str, Any], vocabulary: Vocabulary, place: str) -> None:
    """Raise `BundleError` for thresholds, temperatures and weights that nothing can be told by.

    ``manifest`` is `bundle.Manifest.model_dump()`, ``place`` names its file in messages.
    """
    detector, classifier = manifest["detector"], manifest["classifier"]
    combination = manifest["combination"] or {}
    for section in ("detector", "classifier", "combination"):
        for key, value in _numbers(manifest[section] or {}, section):
            if not math.isfinite(value):
                raise BundleError(f"{place}: {key}: got {value}, wanted a finite number")
    _check_names(
        detector["category_thresholds"], vocabulary.categories,
        f"{place}: detector.category_thresholds", "categories of its vocabulary",
    )  # fmt: skip
    temperatures = classifier["temperatures"]
    _check_names(
        temperatures, [*(group.name for group in vocabulary.groups), VERDICT],
        f"{place}: classifier.temperatures", "groups of its vocabulary, or the verdict",
    )  # fmt: skip
    for name, value in temperatures.items():
        if value <= 0:
            raise BundleError(
                f"{place}: classifier.temperatures.{name}: got {value}, wanted more than 0"
            )
    _check_thresholds(classifier["thresholds"], vocabulary, f"{place}: classifier.thresholds")
    for name in ("detector", "classifier"):
        if combination.get(name, 0) < 0:
            raise BundleError(
                f"{place}: combination.{name}: got {combination[name]}, wanted 0 or more"
            )
    if not 0 <= combination.get("least_score", 0) <= 1:
        raise BundleError(
            f"{place}: combination.least_score: got {combination['least_score']}, wanted 0 to 1"
        )


def _check_thresholds(
    thresholds: Mapping[str, float], vocabulary: Vocabulary, place: str
) -> None:
    wanted = [
        name
        for group in vocabulary.groups
        for name in ((group.name,) if group.exclusive else group.labels)
    ]
    lacking = [name for name in wanted if name not in thresholds]
    if lacking:
        raise BundleError(
            f"{place}: got none of {', '.join(lacking[:8])}; wanted one of every exclusive group, "
            "and of every label of the other groups: build the bundle again"
        )


def _check_names(given: Collection[str], known: Collection[str], place: str, what: str) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise BundleError(f"{place} names {str(unknown)[:200]}; wanted {what}: {', '.join(known)}")


def _numbers(value: Any, key: str) -> Iterator[tuple[str, float]]:
    """Every number in a section, with its key."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _numbers(inner, f"{key}.{name}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _numbers(inner, f"{key}.{number}")
    elif isinstance(value, float):
        yield key, value

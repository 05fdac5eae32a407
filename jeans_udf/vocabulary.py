"""The vocabulary: categories of garments, and groups of attribute labels with their rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jeans_udf.errors import ConfigError, near_miss

NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED = frozenset(
    "garment_id image_id product_id garment_no category score box mask mask_area attributes "
    "attribute_scores image_sha256 model_version run_id tagged_at".split()
)
"""Column names of the garments table that no group may take."""


@dataclass(frozen=True)
class Group:
    """A group of labels; ``exclusive`` groups answer one label or abstain, others a list."""

    name: str
    labels: tuple[str, ...]
    exclusive: bool
    applies_to: frozenset[str]


@dataclass(frozen=True)
class Vocabulary:
    """Categories and groups in the order of the models' outputs."""

    categories: tuple[str, ...]
    groups: tuple[Group, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, group after group: the order of the classifier's output, length L."""
        return tuple(label for group in self.groups for label in group.labels)

    def spans(self) -> dict[str, slice]:
        """Where each group's labels stand in `labels`."""
        spans, start = {}, 0
        for group in self.groups:
            spans[group.name] = slice(start, start + len(group.labels))
            start += len(group.labels)
        return spans

    def group(self, name: str) -> Group:
        for group in self.groups:
            if group.name == name:
                return group
        raise ConfigError(f"no group {name!r}; {near_miss(name, [g.name for g in self.groups])}")

    def as_dict(self) -> dict[str, Any]:
        """The same shape as the YAML file."""
        return {
            "categories": list(self.categories),
            "groups": {
                group.name: {
                    "exclusive": group.exclusive,
                    "labels": list(group.labels),
                    "applies_to": [c for c in self.categories if c in group.applies_to],
                }
                for group in self.groups
            },
        }


def load_vocabulary(path: str | Path) -> Vocabulary:
    """Read a vocabulary file (YAML); raises `ConfigError` naming the file and the key."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"vocabulary {path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"vocabulary {path}: not valid YAML: {error}") from None
    return parse_vocabulary(values, where=str(path))


def parse_vocabulary(values: Any, where: str) -> Vocabulary:
    """Check the shape and the names; ``where`` names the source in messages."""
    if not isinstance(values, dict):
        raise ConfigError(f"vocabulary {where}: wanted keys categories and groups")
    _known_keys(values, ("categories", "groups"), where)
    categories = _names(values.get("categories"), f"vocabulary {where}: categories")
    groups = values.get("groups")
    if not isinstance(groups, dict) or not groups:
        raise ConfigError(f"vocabulary {where}: groups: wanted at least one group")
    parsed = tuple(_group(name, spec, categories, where) for name, spec in groups.items())
    seen: dict[str, str] = {}
    for group in parsed:
        for label in group.labels:
            if label in seen:
                raise ConfigError(
                    f"vocabulary {where}: label {label!r} is in groups {seen[label]!r} and "
                    f"{group.name!r}; labels must differ, since attributes lists them all"
                )
            seen[label] = group.name
    return Vocabulary(categories, parsed)


def _group(name: Any, spec: Any, categories: Sequence[str], where: str) -> Group:
    place = f"vocabulary {where}: group {name!r}"
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(f"{place}: wanted a name [a-z0-9_] that is no column of garments")
    if not isinstance(spec, dict):
        raise ConfigError(f"{place}: wanted keys exclusive, labels, applies_to")
    _known_keys(spec, ("exclusive", "labels", "applies_to"), place)
    exclusive = spec.get("exclusive")
    if not isinstance(exclusive, bool):
        raise ConfigError(f"{place}: exclusive: got {exclusive!r}, wanted true or false")
    applies_to = _names(spec.get("applies_to", list(categories)), f"{place}: applies_to")
    for category in applies_to:
        if category not in categories:
            raise ConfigError(
                f"{place}: applies_to: no category {category!r}; {near_miss(category, categories)}"
            )
    labels = _names(spec.get("labels"), f"{place}: labels")
    return Group(name, labels, exclusive, frozenset(applies_to))


def _names(values: Any, place: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{place}: got {values!r}, wanted a list of names")
    for value in values:
        if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9_]+", value):
            raise ConfigError(f"{place}: got {value!r}, wanted a name of [a-z0-9_]")
    if len(set(values)) != len(values):
        raise ConfigError(f"{place}: a name stands there twice")
    return tuple(values)


def _known_keys(values: Mapping[Any, Any], known: Sequence[str], place: str) -> None:
    for key in values:
        if key not in known:
            raise ConfigError(f"{place}: unknown key {key!r}; {near_miss(str(key), known)}")

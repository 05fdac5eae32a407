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
    "attribute_scores image_sha256 model_version run_id tagged_at "
    "crop crop_width crop_height width height images garments place all "
    "reviewed confidence weakest model mask_score model_score status answers "
    "title description".split()
)
"""Names that no group may take: columns of garments, and of what is joined to them on the way, the
source's that a template of texts may name, and ``all``, the figures of all groups together."""
NO_GARMENT = "none"
"""The classifier's word for a crop without a garment; no category may be called so."""
_QUOTE = "write it in quotes, such as '0541' or 'on': YAML takes it for something else than text"
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


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
    """Read a vocabulary file (YAML); raises `ConfigError` naming the file and the key.

    A label that YAML reads as a whole number, such as 541, is meant as it is written.
    """
    try:
        # A safe loader, with another way to read whole numbers.
        values = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise ConfigError(f"vocabulary {path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError) as error:  # not YAML, not UTF-8, a date of month 13
        raise ConfigError(f"vocabulary {path}: not valid YAML: {error}") from None
    except RecursionError:
        raise ConfigError(f"vocabulary {path}: not valid YAML: nested too deep") from None
    return parse_vocabulary(values, where=str(path))


class _Loader(yaml.SafeLoader):
    """Refuses numbers that YAML does not keep as written: 0501 would be 321, 1_2 would be 12."""

    def whole_number(self, node: yaml.ScalarNode) -> int:
        if not _WHOLE.fullmatch(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, f"got {node.value[:40]}; {_QUOTE}", node.start_mark
            )
        return int(node.value)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.whole_number)


def parse_vocabulary(values: Any, where: str) -> Vocabulary:
    """Check the shape and the names; ``where`` names the source in messages."""
    if not isinstance(values, dict):
        raise ConfigError(f"vocabulary {where}: wanted keys categories and groups")
    _known_keys(values, ("categories", "groups"), where)
    categories = _names(values.get("categories"), f"vocabulary {where}: categories")
    if NO_GARMENT in categories:
        raise ConfigError(
            f"vocabulary {where}: categories: {NO_GARMENT!r} is what the classifier says of a crop "
            "without a garment; wanted another name"
        )
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
    _check_clashes(parsed, where)
    return Vocabulary(categories, parsed)


def _check_clashes(groups: Sequence[Group], where: str) -> None:
    """Columns differ, and so do the names that thresholds are kept by."""
    exclusive = {group.name for group in groups if group.exclusive}
    for group in groups:
        if group.name.removesuffix("_score") in exclusive - {group.name}:
            raise ConfigError(
                f"vocabulary {where}: group {group.name!r}: is the column of another group's "
                "score; wanted another name"
            )
        for label in group.labels:
            if label in exclusive:
                raise ConfigError(
                    f"vocabulary {where}: group {group.name!r}: label {label!r} is the name of an "
                    "exclusive group, and both have a threshold; rename one"
                )


def _group(name: Any, spec: Any, categories: Sequence[str], where: str) -> Group:
    place = f"vocabulary {where}: group {name!r}"
    if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(
            f"{place}: wanted a name [a-z0-9_] that is no column of garments or its views"
        )
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
        raise ConfigError(f"{place}: got {_shown(values)}, wanted a list of names")
    names = tuple(_name(value, place) for value in values)
    if len(set(names)) != len(names):
        raise ConfigError(f"{place}: a name stands there twice")
    return names


def _name(value: Any, place: str) -> str:
    """A label or category; of a whole number its digits: product numbers are labels, too."""
    # By type and not isinstance: True is an int to Python.
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str):
        kind = " (of on, off, yes, no, true or false)" if isinstance(value, bool) else ""
        raise ConfigError(f"{place}: got {_shown(value)}{kind}, wanted a name; {_QUOTE}")
    if not re.fullmatch(r"[a-z0-9_]+", value):
        raise ConfigError(f"{place}: got {value[:80]!r}, wanted a name of [a-z0-9_]")
    return value


def _shown(value: Any) -> str:
    """``value`` for a message; of a list or mapping, which may be without end, only its kind."""
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'mapping'} of {len(value)}"
    return repr(value)[:80]


def _known_keys(values: Mapping[Any, Any], known: Sequence[str], place: str) -> None:
    for key in values:
        if key not in known:
            raise ConfigError(f"{place}: unknown key {key!r}; {near_miss(str(key), known)}")

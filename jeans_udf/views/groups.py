"""The attribute groups of an output, read off its table ``garments``.

An exclusive group has a score column beside it, another group is a list of labels; the columns'
comments tell the labels, and the categories that a group applies to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import types as T

_ONE_OF = re.compile(r"(?:One|Any) of: ([^;]+)(?:; for ([^;]+))?")
"""How `schemas` says in a comment what a column may hold, and of which categories."""


@dataclass(frozen=True)
class Groups:
    """Names of the attribute groups, in the order of the table."""

    exclusive: tuple[str, ...]
    multiple: tuple[str, ...]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By group, ``category`` among them; without those whose column tells none."""
    applies_to: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Categories of the groups that do not apply to all."""

    @property
    def all(self) -> tuple[str, ...]:
        return self.exclusive + self.multiple


def groups_of(garments: T.StructType) -> Groups:
    """The groups of a ``garments`` table."""
    names = set(garments.names)
    exclusive = tuple(name for name in garments.names if f"{name}_score" in names)
    multiple = tuple(
        field.name
        for field in garments
        if field.name != "attributes" and field.dataType.simpleString() == "array<string>"
    )
    labels, applies_to = {}, {}
    for name in ("category", *exclusive, *multiple):
        told = _ONE_OF.match(str(garments[name].metadata.get("comment", "")))
        if told is not None:
            labels[name] = tuple(told[1].split(", "))
        if told is not None and told[2]:
            applies_to[name] = tuple(told[2].split(", "))
    return Groups(exclusive, multiple, labels, applies_to)

"""What the annotation files list, before photos and masks are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jeans_udf.annotations.faults import Faulty, Place, got
from jeans_udf.annotations.shapes import Shape
from jeans_udf.errors import ConfigError, near_miss


@dataclass(frozen=True)
class ListedGarment:
    """An annotation as read: ``shape`` in pixels of the photo, ``box`` the stated XYWH if any.

    One with a fault is kept as ``faulty``, so that further faults are found; what could not be
    read of it is None.
    """

    place: Place
    identity: int | str | None
    category: str | None
    shape: Shape | None
    box: tuple[float, ...] | None = None
    crowd: bool = False
    attributes: list[str] | dict[str, Any] | None = None
    faulty: bool = False


@dataclass
class ListedPhoto:
    """A photo as listed; ``name`` is relative to the photo folder, sizes are None if not stated.

    ``lost`` counts annotations that are none at all, ``ignored`` those of categories not wanted;
    ``faulty`` photos stay in the list so that the faults of their annotations are found, too.
    """

    place: Place
    name: str
    height: int | None = None
    width: int | None = None
    identity: int | str | None = None
    garments: list[ListedGarment] = field(default_factory=list)
    lost: int = 0
    ignored: int = 0
    faulty: bool = False


@dataclass(frozen=True)
class Names:
    """Which names mean which category; ``ignored`` names are passed over without a fault."""

    categories: tuple[str, ...]
    renames: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def category(self, name: Any) -> str | None:
        """The vocabulary's category; None for a name to ignore. Raises `Faulty`."""
        if not isinstance(name, str):
            raise Faulty("unknown_category", f"got {got(name)}, wanted a category's name")
        if name in self.ignored:
            return None
        renamed = self.renames.get(name, name)
        if renamed in self.categories:
            return renamed
        raise Faulty(
            "unknown_category",
            f"{got(name)}: {near_miss(name[:80], self.categories)}; --rename OLD=NEW maps a name, "
            "--ignore-category NAME passes it over",
        )

    def knows(self, name: Any) -> bool:
        """Whether `category` takes ``name``."""
        return isinstance(name, str) and (
            name in self.ignored or self.renames.get(name, name) in self.categories
        )


@dataclass(frozen=True)
class Source:
    """An annotation file or folder, the folder of its photos, and its split if that is given."""

    path: Path
    photos: Path
    split: str | None = None


def parse_names(
    categories: tuple[str, ...], renames: list[str], ignored: list[str]
) -> Names:
    """Names from ``OLD=NEW`` texts; raises `ConfigError` for a NEW that is no category."""
    mapped: dict[str, str] = {}
    for rename in renames:
        old, sign, new = rename.rpartition("=")
        if not sign or not old:
            raise ConfigError(f"--rename {rename!r}: wanted OLD=NEW, such as denim=jeans")
        if new not in categories:
            raise ConfigError(f"--rename {rename!r}: no category {new!r}; "
                              f"{near_miss(new, categories)}")  # fmt: skip
        if mapped.setdefault(old, new) != new:
            raise ConfigError(f"--rename {rename!r}: {old!r} is mapped to {mapped[old]!r}, too")
    both = sorted(set(mapped) & set(ignored))
    if both:
        raise ConfigError(f"--ignore-category {both[0]!r}: is renamed as well; keep one of both")
    return Names(categories, mapped, frozenset(ignored))

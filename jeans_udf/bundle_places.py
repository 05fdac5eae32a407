"""Where executors find the driver's bundle; what they find must have its digest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jeans_udf.bundle import SHIPPED


def places_of(directory: Path) -> tuple[str, ...]:
    """What `bundle.open_bundle` may be given on an executor, in the order to try.

    A bundle that comes with the package lies elsewhere in each packed environment: its name. Any
    other: the same absolute path. One that was given as a relative path is first looked for from
    the executor's own folder, where Spark unpacks archives (``--archives bundle.tar.gz#bundle``
    beside ``bundle: ./bundle/``): what was sent along goes before what lies about.
    """
    if directory.resolve().parent == SHIPPED.resolve():
        return (directory.name,)
    absolute = f"{directory.resolve()}/"
    return (absolute,) if directory.is_absolute() else (f"{directory}/", absolute)


def place_here(places: Sequence[str]) -> str:
    """The first of the places that is on this machine; the last of all where none is."""
    for place in places:
        if "/" not in place or Path(place).is_dir():
            return place
    return places[-1]

"""Groups of photos that are judged apart, such as street photos and flat-lay ones."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from jeans_udf.errors import ConfigError, near_miss
from jeans_udf.training.coco import Photo

OTHER = "other"
"""Of photos that no pattern or row names."""
MOST_GROUPS = 24


def groups_by_pattern(photos: Sequence[Photo], pattern: str, folder: str | Path) -> dict[int, str]:
    """Group by COCO id: what the pattern's first group finds in the path below ``folder``.

    Raises `ConfigError` for a pattern that is none or has no group, or finds nothing at all.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--group-pattern {pattern!r}: no regular expression: {error}") from None
    if compiled.groups != 1:
        raise ConfigError(
            f"--group-pattern {pattern!r}: has {compiled.groups} groups; wanted one, in "
            "parentheses, around the part of the path that names it, such as '^(street|flat)_'"
        )
    groups = {}
    for photo in photos:
        found = compiled.search(_name(photo, folder))
        groups[photo.coco_id] = (found and found[1]) or OTHER
    return _checked(groups, f"--group-pattern {pattern!r}")


def groups_by_table(
    photos: Sequence[Photo], file: str | Path, column: str, folder: str | Path
) -> dict[int, str]:
    """Group by COCO id from a CSV with ``path`` (relative to ``folder``) and ``column``.

    Raises `ConfigError` for a file that cannot be read, lacks a column, or names no photo.
    """
    try:
        with Path(file).open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            columns = list(reader.fieldnames or ())
            for name in ("path", column):
                if name not in columns:
                    known = near_miss(name, columns)
                    raise ConfigError(f"groups {file}: no column {name!r}; {known}")
            of_path = {str(row["path"]): str(row[column] or "").strip() for row in reader}
    except OSError as error:
        raise ConfigError(f"groups {file}: cannot be read ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"groups {file}: not CSV in UTF-8: {error}") from None
    groups = {photo.coco_id: of_path.get(_name(photo, folder)) or OTHER for photo in photos}
    return _checked(groups, f"groups {file}")


def _name(photo: Photo, folder: str | Path) -> str:
    return photo.path.relative_to(folder).as_posix()


def _checked(groups: dict[int, str], where: str) -> dict[int, str]:
    names = set(groups.values())
    if names == {OTHER}:
        raise ConfigError(f"{where}: names the group of no photo; wanted photos' paths as in COCO")
    if len(names) > MOST_GROUPS:
        raise ConfigError(
            f"{where}: makes {len(names)} groups, such as {sorted(names)[:3]}; "
            f"wanted at most {MOST_GROUPS}: a group should hold many photos"
        )
    return groups

"""Where a label file has its labels, told by its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jeans_udf.annotations.faults import printable
from jeans_udf.errors import ConfigError
from jeans_udf.vocabulary import Vocabulary

OPTIONAL = ("annotation_id", "category")


@dataclass(frozen=True)
class Layout:
    """``columns`` are those to read; ``wide`` has one for each group, else ``label`` has all."""

    columns: tuple[str, ...]
    wide: bool


def find_layout(columns: Sequence[str], vocabulary: Vocabulary, path: Path) -> Layout:
    """Wide if every group has its column, also beside a column ``label``; else ``label``.

    Raises `ConfigError` when neither is there, or some groups have a column and others do not:
    whether ``label`` is meant then cannot be told.
    """
    groups = [group.name for group in vocabulary.groups]
    present = [name for name in groups if name in columns]
    absent = [name for name in groups if name not in columns]
    place = f"labels {path}"
    if "file_path" not in columns or not (present or "label" in columns):
        raise ConfigError(
            f"{place}: got the columns {_some(columns)}; wanted file_path, and label (labels "
            f"parted by spaces) or one column for each group ({', '.join(groups)}), with commas "
            "between the columns"
        )
    if present and absent:
        raise ConfigError(
            f"{place}: has columns of the groups {present} and not of {absent}; add these (they "
            "may be empty)" + ", or take those away to read label" * ("label" in columns)
        )
    # A group may be called label: alone, its column is the notebooks'.
    wide = not absent and groups != ["label"]
    read = ("file_path", *(name for name in OPTIONAL if name in columns))
    read += tuple(groups) if wide else ("label",)
    twice = [name for name in read if list(columns).count(name) > 1]
    if twice:
        raise ConfigError(f"{place}: the columns {twice} stand there twice; keep one of each")
    return Layout(read, wide)


def _some(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(printable(name, 60)) for name in columns[:12])
    return f"{shown} and {len(columns) - 12} more" if len(columns) > 12 else shown

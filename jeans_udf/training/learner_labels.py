"""A learner's labels and a vocabulary's: which output goes where."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jeans_udf.errors import ConfigError
from jeans_udf.vocabulary import Group, Vocabulary


@dataclass(frozen=True)
class Outputs:
    """The learner's outputs in the order of a vocabulary."""

    vocabulary: Vocabulary
    order: tuple[int, ...]
    """For each of the vocabulary's labels its place among the learner's outputs."""
    renamed: dict[str, str]
    """Names that had to be made safe, by the learner's."""


def safe_name(label: str) -> str:
    """``label`` in the letters of a vocabulary: of ``541 Athletic`` it is ``541_athletic``."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def match_labels(labels: Sequence[str], vocabulary: Vocabulary, *, one_label: bool) -> Outputs:
    """Find each label in ``vocabulary``, by its name or its safe one; `ConfigError` unless they are
    the same ones, and one exclusive group if a picture has ``one_label``."""
    named = [label if label in vocabulary.labels else safe_name(label) for label in labels]
    twice = sorted({name for name in named if named.count(name) > 1})
    foreign = [label for label, name in zip(labels, named, strict=True)
               if name not in vocabulary.labels]  # fmt: skip
    absent = [label for label in vocabulary.labels if label not in named]
    if foreign or absent or twice:
        raise ConfigError(
            f"labels: the learner has {_some(foreign)} that the vocabulary lacks and lacks "
            f"{_some(absent)} of it{f' and has {_some(twice)} twice' if twice else ''}; name them "
            "alike in the vocabulary, or leave --vocabulary out to have one written"
        )
    if one_label and not (len(vocabulary.groups) == 1 and vocabulary.groups[0].exclusive):
        raise ConfigError(
            "labels: the learner gives a picture one label of all; wanted a vocabulary with one "
            "exclusive group, or leave --vocabulary out to have one written"
        )
    order = tuple(named.index(label) for label in vocabulary.labels)
    return Outputs(vocabulary, order, _renamed(labels, named))


def new_vocabulary(
    labels: Sequence[str], categories: Sequence[str], *, one_label: bool
) -> Outputs:
    """A vocabulary of one group for ``labels``, for all ``categories``, in the same order.

    The group is ``label``, exclusive, if a picture has ``one_label``, else ``details``.
    """
    named: list[str] = []
    # No label is called as an exclusive group is: both have a threshold.
    taken = {"label"} if one_label else set()
    for label in labels:
        base = safe_name(label) or "label"
        name, number = base, 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
        named.append(name)
        taken.add(name)
    group = Group("label" if one_label else "details", tuple(named), one_label,
                  frozenset(categories))  # fmt: skip
    vocabulary = Vocabulary(tuple(categories), (group,))
    return Outputs(vocabulary, tuple(range(len(named))), _renamed(labels, named))


def read_label_list(text: str) -> tuple[str, ...]:
    """Labels in the order of the outputs: a file with one a line, or the list, parted by commas."""
    path = Path(text)
    try:
        lines = path.read_text("utf-8").splitlines() if path.is_file() else text.split(",")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"labels {text}: cannot be read: {error}") from None
    labels = tuple(line.strip() for line in lines if line.strip())
    if not labels:
        raise ConfigError(f"labels {text!r}: names none; wanted a file with one a line, or a,b,c")
    return labels


def _renamed(labels: Sequence[str], named: Sequence[str]) -> dict[str, str]:
    return {label: name for label, name in zip(labels, named, strict=True) if label != name}


def _some(names: Sequence[str]) -> str:
    """Up to eight of ``names``."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{', '.join(repr(name) for name in names[:8])}{more}" if names else "none"

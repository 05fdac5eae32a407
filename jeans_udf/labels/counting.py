"""How many rows each label has, as a table to print, so that rare labels are seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from jeans_udf.labels.labelled import Labelled
from jeans_udf.vocabulary import Vocabulary

RARE = 10
"""Below it a label's figures are chance."""


def label_counts(rows: Sequence[Labelled], vocabulary: Vocabulary) -> Counter[str]:
    """Rows by label."""
    counts = Counter({label: 0 for label in vocabulary.labels})
    counts.update(label for row in rows for label in row.labels)
    return counts


def counts_table(parts: Mapping[str, Sequence[Labelled]], vocabulary: Vocabulary) -> str:
    """A line for each category, group and label with its rows in each part (train, val, …).

    A group's line counts the rows that have any label of it. A star marks what has fewer than
    `RARE` rows in one of the parts.
    """
    lines = [("", "", [f"{name:>8}" for name in parts])]
    for category in vocabulary.categories:
        values = [sum(row.category == category for row in rows) for rows in parts.values()]
        lines.append(("category" * (len(lines) == 1), category, _numbers(values)))
    counted = {name: label_counts(rows, vocabulary) for name, rows in parts.items()}
    for group in vocabulary.groups:
        names = set(group.labels)
        values = [sum(not names.isdisjoint(r.labels) for r in rows) for rows in parts.values()]
        lines.append((group.name, "", _numbers(values)))
        for label in group.labels:
            lines.append(("", label, _numbers([counts[label] for counts in counted.values()])))
    lines.append(("no label", "", _numbers([_unlabelled(r) for r in parts.values()], rare=0)))
    lines.append(("rows", "", _numbers([len(rows) for rows in parts.values()], rare=0)))
    photos = [len({row.file_path for row in rows}) for rows in parts.values()]
    lines.append(("photos", "", _numbers(photos, rare=0)))
    first = max(len(line[0]) for line in lines)
    second = max(len(line[1]) for line in lines)
    table = [f"{a:<{first}}  {b:<{second}}{''.join(c)}".rstrip() for a, b, c in lines]
    return "\n".join([*table, f"* fewer than {RARE} rows: figures of it are chance"])


def _numbers(values: Sequence[int], rare: int = RARE) -> list[str]:
    star = " *" if values and min(values) < rare else ""
    return [*(f"{value:>8,}" for value in values), star]


def _unlabelled(rows: Sequence[Labelled]) -> int:
    return sum(not row.labels for row in rows)

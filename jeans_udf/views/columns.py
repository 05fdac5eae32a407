"""What the views take from a vocabulary: their columns, and the parts of SQL that name groups.

The vocabulary is read off the table ``garments`` itself: an exclusive group has a score column
beside it, another group is a list of labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyspark.sql import types as T

from jeans_udf.schemas import GARMENT_CROPS, IMAGE_STATUS

Commented = list[tuple[str, str]]
"""Names and comments of a view's columns, in order."""


ONE_OF = re.compile(r"One of: ([^;]+)")
"""How `schemas` says in a comment what a column may hold."""


@dataclass(frozen=True)
class Groups:
    """Names of the attribute groups, in the order of the table."""

    exclusive: tuple[str, ...]
    multiple: tuple[str, ...]

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
    return Groups(exclusive, multiple)


def categories_of(garments: T.StructType) -> list[str]:
    """The categories that the comment of a ``garments`` table's column names."""
    named = ONE_OF.match(str(garments["category"].metadata.get("comment", "")))
    assert named is not None, "written by schemas.garments_schema"
    return named[1].split(", ")


def view_columns(garments: T.StructType) -> Mapping[str, Commented]:
    """Columns of the views whose columns depend on the vocabulary."""
    groups = groups_of(garments)
    about = {field.name: str(field.metadata.get("comment", "")) for field in garments}
    status = {field.name: str(field.metadata["comment"]) for field in IMAGE_STATUS}
    crops = {field.name: str(field.metadata["comment"]) for field in GARMENT_CROPS}
    answers = answer_columns(groups)
    reviewed = ("reviewed", "Whether a person's word stands in the place of the model's")
    garment = [(name, about[name]) for name in garments.names if name in about]
    return {
        "reviewed_garments": [*garment, reviewed],
        "product_attributes": [
            ("product_id", "Key of the product"),
            ("images", "Images of the product"),
            ("garments", "Garments found in them"),
            *((name, f"Best garment: {about[name]}")
              for name in ("image_id", "garment_id", "category", "score", *answers)),
            reviewed,
        ],
        "rejected_images": [
            (name, status[name])
            for name in ("image_id", "product_id", "reason", "detail", "tagged_at")
        ],
        "low_confidence": [
            ("confidence", "Least of the scores: of the category and of each answer, 0 to 1"),
            ("weakest", "Which answer that is: category, or a group"),
            *((name, about[name]) for name in LOW),
            *((name, about[name]) for name in answers),
        ],
        "garments_with_crops": [
            *garment, reviewed,
            ("crop", crops["crop"]), ("crop_width", crops["width"]),
            ("crop_height", crops["height"]),
        ],
        "model_diff": [
            ("image_id", about["image_id"]),
            ("product_id", about["product_id"]),
            ("model_before", "Bundle on the side before"),
            ("model_after", "Bundle on the side after"),
            ("changed", "Whether anything but scores differs"),
            ("garments_before", "Garments found before"),
            ("garments_after", "Garments found after"),
            *((f"{name}_{side}", f"Best garment {side}: {about[name]}")
              for name in ("category", "score", *groups.all) for side in ("before", "after")),
        ],
    }  # fmt: skip


LOW = ("garment_id", "image_id", "product_id", "category", "score")
"""Columns of low_confidence before the groups'."""


def answer_columns(groups: Groups) -> tuple[str, ...]:
    """Columns of garments that the groups own, and all labels."""
    names: list[str] = []
    for name in groups.exclusive:
        names += [name, f"{name}_score"]
    return (*names, *groups.multiple, "attributes")


def fragments(garments: T.StructType) -> dict[str, str]:
    """The parts of the views' SQL that name groups, by placeholder."""
    groups = groups_of(garments)
    corrected = ("category", *groups.all)
    replaced = {name: _replaced(name, groups) for name in corrected}
    replaced |= {f"{name}_score": _score(name) for name in groups.exclusive}
    replaced["score"] = _score("category", "score")
    replaced["attributes"] = _attributes(groups)
    columns = [
        f"  {replaced[name]} AS {_quoted(name)}" if name in replaced else f"  g.{_quoted(name)}"
        for name in garments.names
    ]
    scores = ["score", *(f"{name}_score" for name in groups.exclusive)]
    named = ["category", *groups.exclusive]
    return {
        "pivoted": ",\n".join(
            f"    max(CASE WHEN attribute = {_text(name)} THEN labels END) AS {_quoted(name)}"
            for name in corrected
        ),
        "reviewed_columns": ",\n".join(columns),
        "best": ",\n".join(f"  best.{_quoted(name)}" for name in answer_columns(groups)),
        "garment_columns": ", ".join(f"g.{_quoted(name)}" for name in garments.names),
        "coverage": "\nUNION ALL\n".join(_coverage(name, groups) for name in corrected),
        # Of one score alone Spark makes no least.
        "least": f"least({', '.join(map(_quoted, [*scores, 'score']))})",
        "weakest": "CASE " + " ".join(
            f"WHEN {_quoted(score)} = confidence THEN {_text(name)}"
            for name, score in zip(named, scores, strict=True)
        ) + " END",
        "low": ",\n".join(f"  {_quoted(name)}" for name in (*LOW, *answer_columns(groups))),
        "compared": ", ".join(
            f"g.{_quoted(name)}" for name in ("category", "score", *groups.all)
        ),
        "differs": " OR ".join(
            f"NOT (b.{_quoted(name)} <=> a.{_quoted(name)})" for name in corrected
        ),
        "both": ",\n".join(
            f"  b.{_quoted(name)} AS {_quoted(name + '_before')}, "
            f"a.{_quoted(name)} AS {_quoted(name + '_after')}"
            for name in ("category", "score", *groups.all)
        ),
    }  # fmt: skip


def commented(columns: Iterable[tuple[str, str]]) -> str:
    """The columns of a CREATE VIEW."""
    return ",\n".join(f"  {_quoted(name)} COMMENT {_text(comment)}" for name, comment in columns)


def _override(name: str) -> str:
    """What a person said, of this image or else of the product; null where nobody said anything."""
    return f"coalesce(i.{_quoted(name)}, p.{_quoted(name)})"


def _replaced(name: str, groups: Groups) -> str:
    if name in groups.multiple:
        return f"coalesce(i.{_quoted(name)}, p.{_quoted(name)}, g.{_quoted(name)})"
    word = _override(name)
    return f"CASE WHEN {word} IS NULL THEN g.{_quoted(name)} ELSE get({word}, 0) END"


def _score(name: str, column: str | None = None) -> str:
    score = f"g.{_quoted(column or f'{name}_score')}"
    word = _override(name)
    # A person is sure; of nothing there is no score.
    sure = f"CASE WHEN cardinality({word}) > 0 THEN CAST(1 AS FLOAT) END"
    return f"CASE WHEN {word} IS NULL THEN {score} ELSE {sure} END"


def _attributes(groups: Groups) -> str:
    if not groups.all:
        return "g.attributes"
    said = " AND ".join(f"{_override(name)} IS NULL" for name in groups.all)
    single = ", ".join(_replaced(name, groups) for name in groups.exclusive)
    lists = [f"array_compact(array({single}))"] if single else []
    lists += [f"coalesce({_replaced(name, groups)}, array())" for name in groups.multiple]
    return f"CASE WHEN {said} THEN g.attributes ELSE concat({', '.join(lists)}) END"


def _coverage(name: str, groups: Groups) -> str:
    column = _quoted(name)
    if name in groups.multiple:
        answered, score = f"count(CASE WHEN cardinality({column}) > 0 THEN 1 END)", "NULL"
    else:
        answered = f"count({column})"
        score = f"avg({_quoted('score' if name == 'category' else name + '_score')})"
    return (
        f"SELECT category, {_text(name)} AS attribute, count(*) AS garments,\n"
        f"  {answered} AS answered,\n"
        f"  {answered} / count(*) AS share, CAST({score} AS DOUBLE) AS mean_score\n"
        "FROM ${reviewed_garments}\nGROUP BY category"
    )


def _quoted(name: str) -> str:
    return f"`{name}`"


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"



"""The parts of the views' SQL that name groups: one for each placeholder of the SQL files.

In these, ``g`` is a garment, ``i`` what people said of its image and ``p`` of its product.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import types as T

from jeans_udf.views.columns import LOW, answer_columns
from jeans_udf.views.groups import Groups, groups_of
from jeans_udf.views.literals import quoted, sql_text
from jeans_udf.vocabulary import NO_GARMENT


def fragments(garments: T.StructType, before: T.StructType | None = None) -> dict[str, str]:
    """The parts of the views' SQL that name groups, by placeholder.

    ``before``: the schema of the garments that model_diff compares with, where it is another one.
    """
    groups = groups_of(garments)
    corrected = ("category", *groups.all)
    replaced = {name: _replaced(name, groups) for name in corrected}
    replaced |= {f"{name}_score": _score(name, groups) for name in groups.exclusive}
    replaced["score"] = _score("category", groups)
    replaced["attributes"] = _attributes(groups)
    columns = [
        f"  {replaced[name]} AS {quoted(name)}" if name in replaced else f"  g.{quoted(name)}"
        for name in garments.names
    ]
    scores = ["score", *(f"{name}_score" for name in groups.exclusive)]
    named = ["category", *groups.exclusive]
    common = [name for name in corrected if _has(before or garments, garments[name])]
    return {
        "fault": _fault(groups),
        "pivoted": ",\n".join(
            f"    max(CASE WHEN attribute = {sql_text(name)} THEN labels END) AS {quoted(name)}"
            for name in corrected
        ),
        "reviewed": _reviewed(groups),
        "reviewed_columns": ",\n".join(columns),
        "best": ",\n".join(f"  best.{quoted(name)}" for name in answer_columns(groups)),
        "garment_columns": ", ".join(f"g.{quoted(name)}" for name in garments.names),
        "coverage": "\nUNION ALL\n".join(_coverage(name, groups) for name in corrected),
        # Of one score alone Spark makes no least.
        "least": f"least({', '.join(map(quoted, [*scores, 'score']))})",
        "weakest": "CASE " + " ".join(
            f"WHEN {quoted(score)} = confidence THEN {sql_text(name)}"
            for name, score in zip(named, scores, strict=True)
        ) + " END",
        "low": ",\n".join(f"  {quoted(name)}" for name in (*LOW, *answer_columns(groups))),
        "compared": _compared(garments, garments, groups),
        "compared_before": _compared(garments, before or garments, groups),
        "answers": ", ".join(_in_order(name, groups) for name in common),
        "both": ",\n".join(
            f"  b.{quoted(name)} AS {quoted(name + '_before')}, "
            f"a.{quoted(name)} AS {quoted(name + '_after')}"
            for name in ("category", "score", *groups.all)
        ),
    }  # fmt: skip


def _override(name: str) -> str:
    """What a person said, of this image or else of the product; null where nobody said anything."""
    return f"coalesce(i.{quoted(name)}, p.{quoted(name)})"


def _replaced(name: str, groups: Groups) -> str:
    if name in groups.multiple:
        found = f"coalesce(i.{quoted(name)}, p.{quoted(name)}, g.{quoted(name)})"
        return _where_it_applies(name, groups, found, "CAST(array() AS ARRAY<STRING>)")
    word = _override(name)
    found = f"CASE WHEN {word} IS NULL THEN g.{quoted(name)} ELSE get({word}, 0) END"
    return _where_it_applies(name, groups, found, "NULL")


def _where_it_applies(name: str, groups: Groups, found: str, empty: str) -> str:
    """A person's category may be one that the group says nothing of.

    What nobody spoke of stays as the model left it, by whatever vocabulary.
    """
    if name not in groups.applies_to:
        return found
    spoken = f"({_override('category')} IS NOT NULL OR {_override(name)} IS NOT NULL)"
    return f"CASE WHEN {spoken} AND NOT {_applies(name, groups)} THEN {empty} ELSE {found} END"


def _applies(name: str, groups: Groups) -> str:
    return f"{_replaced('category', groups)} IN {_texts(groups.applies_to[name])}"


def _reviewed(groups: Groups) -> str:
    """Whether a person said something of the garment that counts."""
    said = []
    for name in ("category", *groups.all):
        word = f"{_override(name)} IS NOT NULL"
        if name in groups.applies_to:
            word = f"({word} AND {_applies(name, groups)})"
        said.append(word)
    return " OR ".join(said)


def _score(name: str, groups: Groups) -> str:
    score = f"g.{quoted('score' if name == 'category' else f'{name}_score')}"
    word = _override(name)
    # A person is sure; of nothing there is no score.
    sure = f"CASE WHEN cardinality({word}) > 0 THEN CAST(1 AS FLOAT) END"
    found = f"CASE WHEN {word} IS NULL THEN {score} ELSE {sure} END"
    return _where_it_applies(name, groups, found, "NULL")


def _fault(groups: Groups) -> str:
    """Why no view follows a row of attribute_overrides; null where they do."""
    single = ("category", *groups.exclusive)
    words = " ".join(
        f"WHEN {sql_text(name)} THEN array({', '.join(map(sql_text, _words(name, groups)))})"
        for name in groups.labels
    )
    labels = f"CASE attribute {words} ELSE array(label) END" if words else "array(label)"
    known = f"coalesce(array_contains({labels}, label), false)"
    wanted = sql_text("attribute: wanted " + ", ".join(("category", *groups.all)))
    return (
        "CASE\n"
        f"    WHEN attribute NOT IN {_texts(('category', *groups.all))} THEN {wanted}\n"
        "    WHEN labels IS NULL THEN 'labels: null; wanted a list'\n"
        f"    WHEN attribute IN {_texts(single)} AND cardinality(labels) > 1 "
        "THEN 'labels: wanted one'\n"
        "    WHEN attribute = 'category' AND cardinality(labels) = 0 "
        "THEN 'labels: wanted a category, or none'\n"
        f"    WHEN NOT forall(labels, label -> {known}) "
        "THEN 'labels: one is not of the attribute'\n"
        "  END"
    )


def _words(name: str, groups: Groups) -> tuple[str, ...]:
    return (*groups.labels[name], NO_GARMENT) if name == "category" else groups.labels[name]


def _has(garments: T.StructType, wanted: T.StructField) -> bool:
    """Whether a table of garments has the column with its type."""
    return wanted.name in garments.names and garments[wanted.name].dataType == wanted.dataType


def _compared(garments: T.StructType, side: T.StructType, groups: Groups) -> str:
    """The columns of model_diff; null for a group that the side does not have."""
    found = []
    for name in ("category", "score", *groups.all):
        kind = garments[name].dataType.simpleString()
        there = _has(side, garments[name])
        found.append(
            f"g.{quoted(name)}" if there else f"CAST(NULL AS {kind}) AS {quoted(name)}"
        )
    return ", ".join(found)


def _in_order(name: str, groups: Groups) -> str:
    # Two bundles may list the same labels in another order.
    if name in groups.multiple:
        return f"sort_array({quoted(name)}) AS {quoted(name)}"
    return quoted(name)


def _attributes(groups: Groups) -> str:
    if not groups.all:
        return "g.attributes"
    # A person's category may take labels away.
    heard = ("category", *groups.all) if groups.applies_to else groups.all
    said = " AND ".join(f"{_override(name)} IS NULL" for name in heard)
    single = ", ".join(_replaced(name, groups) for name in groups.exclusive)
    lists = [f"array_compact(array({single}))"] if single else []
    lists += [f"coalesce({_replaced(name, groups)}, array())" for name in groups.multiple]
    return f"CASE WHEN {said} THEN g.attributes ELSE concat({', '.join(lists)}) END"


def _coverage(name: str, groups: Groups) -> str:
    column = quoted(name)
    if name in groups.multiple:
        answered, score = f"count(CASE WHEN cardinality({column}) > 0 THEN 1 END)", "NULL"
    else:
        answered = f"count({column})"
        score = f"avg({quoted('score' if name == 'category' else name + '_score')})"
    applies_to = groups.applies_to.get(name)
    applied = f"\nWHERE category IN {_texts(applies_to)}" if applies_to else ""
    return (
        f"SELECT category, {sql_text(name)} AS attribute, count(*) AS garments,\n"
        f"  {answered} AS answered,\n"
        f"  {answered} / count(*) AS share, CAST({score} AS DOUBLE) AS mean_score\n"
        f"FROM ${{reviewed_garments}}{applied}\nGROUP BY category"
    )


def _texts(values: Sequence[str]) -> str:
    return f"({', '.join(map(sql_text, values))})"

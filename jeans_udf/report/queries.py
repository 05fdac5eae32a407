"""Queries on the page for the reader to copy: the same question in Spark and in DuckDB."""

from __future__ import annotations

from collections.abc import Callable

from jeans_udf.report.data import Query
from jeans_udf.views.groups import Groups

_COUNT = """\
SELECT category, {group}, count(*) AS garments, round(avg({group}_score), 2) AS mean_score
FROM {garments}
WHERE score >= 0.8
GROUP BY category, {group}
ORDER BY garments DESC"""

_PER_IMAGE = """\
SELECT s.image_id, s.status, s.reason, s.detail
FROM {image_status} AS s
WHERE s.status = 'rejected'
ORDER BY s.reason, s.image_id"""

_LISTED = """\
SELECT product_id, category, {columns}
FROM {garments}
WHERE {contains}({group}, '{label}')
  AND garment_no = 0"""


def example_queries(output: str, groups: Groups) -> tuple[Query, ...]:
    """``output``: a folder, absolute or a URI, or a schema, whose tables DuckDB cannot reach."""
    folder = "/" in output
    spark = _spark_names(output, folder)
    queries = []
    for group in groups.exclusive[:1]:
        title = f"How often is each {_words(group)}?"
        queries.append(Query(title, "Spark SQL", _fill(_COUNT, spark, group=group)))
    queries.append(Query("What was rejected, and why?", "Spark SQL", _fill(_PER_IMAGE, spark)))
    for group in groups.multiple[:1]:
        for label in groups.labels.get(group, ())[:1]:
            columns = ", ".join(groups.all)
            asked = {"group": group, "label": label, "columns": columns}
            title = f"Which products have {_words(label)} among their {_words(group)}?"
            if folder:
                duckdb = "INSTALL delta; LOAD delta;\n"
                text = _fill(_LISTED, _duckdb_name(output), contains="list_contains", **asked)
                queries.append(Query(title, "DuckDB", duckdb + text))
            else:
                text = _fill(_LISTED, spark, contains="array_contains", **asked)
                queries.append(Query(title, "Spark SQL", text))
    return tuple(queries)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _fill(text: str, name: Callable[[str], str], **more: str) -> str:
    return text.format(garments=name("garments"), image_status=name("image_status"), **more)


def _spark_names(output: str, folder: bool) -> Callable[[str], str]:
    if not folder:
        return lambda table: f"{output}.{table}"
    root = output.replace("`", "``")
    return lambda table: f"delta.`{root}/{table}`"


def _duckdb_name(output: str) -> Callable[[str], str]:
    root = output.replace("'", "''")
    return lambda table: f"delta_scan('{root}/{table}')"

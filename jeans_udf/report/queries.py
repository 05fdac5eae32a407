"""Queries on the page for the reader to copy: the same question in Spark and in DuckDB."""

from __future__ import annotations

from collections.abc import Callable

from jeans_udf.report.data import Query

_COUNT_BY_WASH = """\
SELECT category, wash, count(*) AS garments, round(avg(wash_score), 2) AS mean_score
FROM {garments}
WHERE score >= 0.8
GROUP BY category, wash
ORDER BY garments DESC"""

_PER_IMAGE = """\
SELECT s.image_id, s.status, s.reason, s.detail
FROM {image_status} AS s
WHERE s.status = 'rejected'
ORDER BY s.reason, s.image_id"""

_DETAILS = """\
SELECT product_id, category, wash, fit, length, details
FROM {garments}
WHERE {contains}
  AND garment_no = 0"""


def example_queries(output: str) -> tuple[Query, ...]:
    """``output``: a folder, absolute or a URI, or a schema, whose tables DuckDB cannot reach."""
    folder = "/" in output
    spark = _spark_names(output, folder)
    queries = [
        Query("Which washes are in the catalog?", "Spark SQL", _fill(_COUNT_BY_WASH, spark)),
        Query("What was rejected, and why?", "Spark SQL", _fill(_PER_IMAGE, spark)),
    ]
    if folder:
        duckdb = "INSTALL delta; LOAD delta;\n"
        text = _fill(_DETAILS, _duckdb_name(output), "list_contains(details, 'distressed')")
        queries.append(Query("Which products are distressed?", "DuckDB", duckdb + text))
    else:
        text = _fill(_DETAILS, spark, "array_contains(details, 'distressed')")
        queries.append(Query("Which products are distressed?", "Spark SQL", text))
    return tuple(queries)


def _fill(text: str, name: Callable[[str], str], contains: str = "") -> str:
    return text.format(
        garments=name("garments"), image_status=name("image_status"), contains=contains
    )


def _spark_names(output: str, folder: bool) -> Callable[[str], str]:
    if not folder:
        return lambda table: f"{output}.{table}"
    root = output.replace("`", "``")
    return lambda table: f"delta.`{root}/{table}`"


def _duckdb_name(output: str) -> Callable[[str], str]:
    root = output.replace("'", "''")
    return lambda table: f"delta_scan('{root}/{table}')"

"""dbt's schema.yml of the tables and views: descriptions and tests, from the schemas."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import yaml
from pyspark.sql import types as T

from jeans_udf import errors, schemas
from jeans_udf.table_names import Output
from jeans_udf.views.groups import groups_of
from jeans_udf.views.publishing import PLAIN, Publication, view_statements

COLUMN = re.compile(r"^  `(\w+)` COMMENT '((?:[^'\\]|\\.)*)'", re.MULTILINE)
COMMENT = re.compile(r"^COMMENT '((?:[^'\\]|\\.)*)'", re.MULTILINE)
"""How a view's statement begins; the views' own text is the one place where they are described."""
KEYS = {("product_attributes", "product_id"), ("reviewed_garments", "garment_id")}
STATUSES = ("tagged", "no_garment", "rejected")


TABLES = {
    "image_status": (schemas.IMAGE_STATUS, "One row per source image, tagged or not"),
    "garments": (None, "One row per garment"),
    "garment_crops": (schemas.GARMENT_CROPS, "One cut-out picture per garment"),
    "tagging_runs": (schemas.TAGGING_RUNS, "One row per run of the tagging job"),
    "image_detections": (schemas.IMAGE_DETECTIONS, "What the detector found, by image"),
    "product_embeddings": (schemas.PRODUCT_EMBEDDINGS, "One row per product: its vector"),
    "product_token_embeddings": (schemas.PRODUCT_TOKEN_EMBEDDINGS, "One row per token of a text"),
    "similar_products": (schemas.SIMILAR_PRODUCTS, "The nearest products of each"),
    "attribute_overrides": (schemas.ATTRIBUTE_OVERRIDES, "What people corrected"),
}  # fmt: skip


def schema_yml(
    output: Output,
    garments: T.StructType,
    publication: Publication = PLAIN,
    present: Collection[str] = tuple(TABLES),
) -> str:
    """The text of a schema.yml with two sources: the tables, and the views.

    Views are a source to dbt, too: it did not make them. ``present``: the tables that are there;
    dbt's tests of another one would fail. For dbt 1.10.5 and later.
    """
    unique = {
        "image_status": "image_id", "garments": "garment_id", "garment_crops": "garment_id",
        "tagging_runs": "run_id", "image_detections": "image_id",
        "product_embeddings": "product_id",
    }  # fmt: skip
    accepted = {("image_status", "status"): STATUSES, ("image_status", "reason"): errors.REASONS,
                **_labels("garments", garments)}  # fmt: skip
    source = _source("jeans_udf", output)
    for name, (fixed, told) in TABLES.items():
        if name not in present:
            continue
        schema_of = garments if fixed is None else fixed
        columns = [
            _column(f.name, str(f.metadata.get("comment", "")), not_null=not f.nullable,
                    unique=unique.get(name) == f.name, accepted=accepted.get((name, f.name)))
            for f in schema_of
        ]  # fmt: skip
        source["tables"].append({"name": name, "description": told, "columns": columns})
    views = _source("jeans_udf_views", publication.into or output)
    for view, statement in view_statements(output, garments, publication).items():
        head, _, rest = statement.partition("\n)\n")
        about = COMMENT.search(rest)
        views["tables"].append({
            "name": view,
            "description": _unquoted(about[1]) if about else "",
            "columns": [
                _column(name, _unquoted(comment), not_null=(view, name) in KEYS,
                        unique=(view, name) in KEYS)
                for name, comment in COLUMN.findall(head)
            ],
        })  # fmt: skip
    whole = {"version": 2, "sources": [source, views]}
    return yaml.safe_dump(whole, sort_keys=False, width=100, allow_unicode=True)


def _source(name: str, place: Output) -> dict[str, Any]:
    source: dict[str, Any] = {"name": name}
    if not place.is_path:
        *catalog, schema = place.text.split(".")
        source |= {"database": catalog[0]} if catalog else {}
        source["schema"] = schema
    return source | {"tables": []}


def _labels(table: str, garments: T.StructType) -> dict[tuple[str, str], tuple[str, ...]]:
    """What exclusive columns may hold, as their comments say."""
    groups = groups_of(garments)
    return {
        (table, name): groups.labels[name]
        for name in ("category", *groups.exclusive) if name in groups.labels
    }  # fmt: skip


def _column(
    name: str,
    comment: str,
    *,
    not_null: bool = False,
    unique: bool = False,
    accepted: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    tests: list[Any] = ["not_null"] if not_null else []
    tests += ["unique"] if unique else []
    tests += [{"accepted_values": {"arguments": {"values": list(accepted)}}}] if accepted else []
    return {"name": name, "description": comment} | ({"data_tests": tests} if tests else {})


def _unquoted(text: str) -> str:
    return text.replace("\\'", "'").replace("\\\\", "\\")

"""A product's text, from what the source says of it and what was seen in its pictures."""

from __future__ import annotations

from collections.abc import Iterable
from string import Formatter

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf.errors import ConfigError, near_miss

SOURCE_COLUMNS = ("title", "description")
"""Columns of the source that a template may name, besides those of the products' attributes."""
MOST_LETTERS = 32_768
"""Of a title or a description: more than any encoder's longest text, and no more to carry about."""


def product_texts(images: DataFrame, attributes: DataFrame, template: str) -> DataFrame:
    """``product_id, text, text_sha256``, one row for each product of the source.

    ``images`` is the source, ``attributes`` has one row a product (`product_attributes`). Of
    several titles or descriptions of a product the one of its first image counts, by image_id.
    Lists are written with spaces between their labels, labels with spaces for underscores; what
    is missing is left out. Raises `ConfigError` for a name in the template that neither has.
    """
    check_template(template, attributes.columns)
    said = [_first(images, name) for name in SOURCE_COLUMNS]
    products = images.where("product_id IS NOT NULL").groupBy("product_id").agg(*said)
    seen = attributes.drop(*SOURCE_COLUMNS)
    rows = products.join(seen, "product_id", "left")
    kinds = {field.name: field.dataType for field in rows.schema}
    text = F.trim(F.regexp_replace(F.concat(*_pieces(template, kinds)), r"\s+", " "))
    return rows.select("product_id", text.alias("text")).withColumn(
        "text_sha256", F.sha2(F.col("text"), 256)
    )


def check_template(template: str, columns: Iterable[str]) -> None:
    """Raise `ConfigError` unless every name in braces is a column."""
    known = [*SOURCE_COLUMNS, *columns]
    for name in names_in(template):
        if name not in known:
            raise ConfigError(f"template: no column {name!r}; {near_miss(name, known)}")


def names_in(template: str) -> list[str]:
    """The names in braces, in order."""
    return [name for _, name, _, _ in Formatter().parse(template) if name]


def _first(images: DataFrame, name: str) -> Column:
    if name not in images.columns:
        return F.lit(None).cast("string").alias(name)
    said = F.when(F.trim(name) != "", F.struct("image_id", name))
    return F.substring(F.min(said)[name], 1, MOST_LETTERS).alias(name)


def _pieces(template: str, kinds: dict[str, T.DataType]) -> list[Column]:
    pieces = []
    for literal, name, _, _ in Formatter().parse(template):
        if literal:
            pieces.append(F.lit(literal))
        if name:
            pieces.append(F.coalesce(_words(name, kinds[name]), F.lit("")))
    return pieces


def _words(name: str, kind: T.DataType) -> Column:
    if name in SOURCE_COLUMNS:
        return F.col(name)
    if isinstance(kind, T.ArrayType):
        return F.replace(F.array_join(name, " "), F.lit("_"), F.lit(" "))
    return F.replace(F.col(name).cast("string"), F.lit("_"), F.lit(" "))

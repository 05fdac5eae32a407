"""What the page shows beside its sample: the garments least sure of, and similar products.

Each query has a literal bound, so that Spark keeps that many rows of a task and no more.
"""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jeans_udf.report.cards import CardMaker
from jeans_udf.report.data import Attribute, GarmentCard, ProductCard, Similar, WeakCard
from jeans_udf.report.samples import Frames, Values, crops_of, garment_columns
from jeans_udf.views.groups import Groups

WEAKEST = 12
"""Garments."""
PRODUCTS, NEIGHBOURS = 6, 5
ASKED = 100
"""Products of the sample that are looked up: those of a rejected image have no neighbours."""


def weakest_garments(frames: Frames, maker: CardMaker) -> tuple[WeakCard, ...]:
    """Those whose least score, of the category and of each answer, is the least."""
    scores = _score_columns(maker.groups)
    rows = (
        frames.garments.withColumn("confidence", _least([F.col(name) for name in scores.values()]))
        .where("confidence IS NOT NULL AND NOT reviewed")
        .select("image_id", "product_id", *garment_columns(maker.groups))
        .orderBy("confidence", "garment_id")
        .limit(WEAKEST)
    )
    found = [row.asDict(recursive=True) for row in rows.collect()]
    crops = crops_of(frames, [row["garment_id"] for row in found], maker)
    cards = []
    for row in found:
        told = {group: row[column] for group, column in scores.items() if row[column] is not None}
        group = min(told, key=lambda name: told[name])
        garment = replace(maker.garment(row), crop=crops.get(row["garment_id"]))
        weakest = Attribute(group, row[group], told[group])
        cards.append(WeakCard(row["image_id"], row["product_id"], garment, weakest))
    return tuple(cards)


def similar_products(
    frames: Frames, images: list[Values], maker: CardMaker
) -> tuple[Similar, ...] | None:
    """Of some products of ``images`` the nearest ones; None where nobody computed them."""
    if frames.similar_products is None:
        return None
    shown = {row["product_id"]: None for row in images if row["status"] == "tagged"}
    asked = [name for name in shown if name is not None][:ASKED]
    nearest = _neighbours(frames.similar_products, asked)
    chosen = [name for name in asked if name in nearest][:PRODUCTS]
    wanted = {name for product in chosen for name in (product, *dict(nearest[product]))}
    garments = _best_garments(frames, sorted(wanted), maker)
    return tuple(
        Similar(
            ProductCard(product, garments.get(product)),
            tuple(ProductCard(name, garments.get(name), cosine)
                  for name, cosine in nearest[product]),
        )
        for product in chosen
    )  # fmt: skip


def _neighbours(similar: DataFrame, products: list[str]) -> dict[str, list[tuple[str, float]]]:
    """Names and cosines by product, the nearest first."""
    rows = similar.where(F.col("product_id").isin(products) & (F.col("rank") <= NEIGHBOURS))
    found: dict[str, list[tuple[str, float]]] = {}
    for row in rows.orderBy("product_id", "rank").collect():
        found.setdefault(row["product_id"], []).append((row["neighbour_id"], row["cosine"]))
    return found


def _best_garments(
    frames: Frames, products: list[str], maker: CardMaker
) -> dict[str, GarmentCard]:
    """The one of each product that the view product_attributes has."""
    best = Window.partitionBy("product_id").orderBy(F.desc("model_score"), "garment_id")
    rows = (
        frames.garments.where(F.col("product_id").isin(products))
        .withColumn("place", F.row_number().over(best))
        .where("place <= 1")
        .select("product_id", *garment_columns(maker.groups))
    )
    found = {row["product_id"]: row.asDict(recursive=True) for row in rows.collect()}
    crops = crops_of(frames, [row["garment_id"] for row in found.values()], maker)
    return {
        product: replace(maker.garment(row), crop=crops.get(row["garment_id"]))
        for product, row in found.items()
    }


def _score_columns(groups: Groups) -> dict[str, str]:
    return {"category": "score"} | {group: f"{group}_score" for group in groups.exclusive}


def _least(columns: list[Column]) -> Column:
    # Spark's own wants two columns at least, and a vocabulary may have no exclusive group.
    return F.least(*columns) if len(columns) > 1 else columns[0]

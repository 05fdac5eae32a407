"""The images on the page, and their cards.

A sample is the images with the least hash of their key: the same ones on every machine and
however the table is laid out, and no order of the catalog shows through. Pictures come one at a
time and are shrunk on the way, so that memory does not grow with the sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf.report.cards import CardMaker, with_crops
from jeans_udf.report.data import PhotoCard, Picture, RejectedCard
from jeans_udf.report.page import SHOWN_GARMENTS
from jeans_udf.views.groups import Groups

AnyCard = PhotoCard | RejectedCard
Values = dict[str, Any]
REJECTED_OF_EACH_REASON = 3
NO_SOURCE = {"title": None, "image": None, "path": None}


@dataclass(frozen=True)
class Frames:
    """The tables that a report reads."""

    source: DataFrame
    image_status: DataFrame
    garments: DataFrame
    """With model_score and reviewed, where people may have corrected them."""
    garment_crops: DataFrame
    tagging_runs: DataFrame
    similar_products: DataFrame | None = None
    """None: embed_products.py was not run."""


def sample_images(image_status: DataFrame, size: int) -> list[Values]:
    """Up to ``size`` tagged images, a fifth as many without a garment, a few of each reason."""
    most = {"tagged": size, "no_garment": max(1, size // 5), "rejected": REJECTED_OF_EACH_REASON}
    order = Window.partitionBy("status", "reason").orderBy(F.xxhash64("image_id"), "image_id")
    images = image_status.select(
        "image_id", "product_id", "status", "reason", "detail", "width", "height", "image_sha256"
    )
    # A literal bound lets Spark cut each group before it shuffles the table.
    first = images.withColumn("place", F.row_number().over(order)).where(
        F.col("place") <= max(most.values())
    )
    bound = F.lit(0)
    for status, count in most.items():
        bound = F.when(F.col("status") == status, count).otherwise(bound)
    rows = first.where(F.col("place") <= bound).orderBy("status", "reason", "place").collect()
    return [row.asDict() for row in rows]


def make_cards(frames: Frames, images: list[Values], maker: CardMaker) -> dict[str, AnyCard]:
    """A card for each of ``images``, by image_id, made as its source row arrives."""
    by_id = {row["image_id"]: row for row in images}
    garments = _garments_of(frames, by_id, maker.groups)
    cards: dict[str, AnyCard] = {}
    for row in _source_rows(frames.source, by_id, maker):
        key = row["image_id"]
        cards[key] = _card(by_id[key] | row.asDict(), garments[key], maker)
    for key in by_id.keys() - cards.keys():
        # The source may have lost an image since it was tagged.
        cards[key] = _card(by_id[key] | NO_SOURCE, garments[key], maker)
    # After the photos: when the page is full, cut-outs are what is left out.
    shown = (g for found in garments.values() for g in found if g["garment_no"] < SHOWN_GARMENTS)
    crops = crops_of(frames, [garment["garment_id"] for garment in shown], maker)
    return {
        key: with_crops(card, crops) if isinstance(card, PhotoCard) else card
        for key, card in cards.items()
    }


def _card(row: Values, garments: list[Values], maker: CardMaker) -> AnyCard:
    return maker.rejected(row) if row["status"] == "rejected" else maker.photo(row, garments)


def _source_rows(source: DataFrame, keys: Iterable[str], maker: CardMaker) -> Iterator[T.Row]:
    """Title, image and path of the images, one after the other."""
    title, image, path = (
        F.col(name) if name in source.columns else F.lit(None).cast(kind)
        for name, kind in (("title", "string"), ("image", "binary"), ("path", "string"))
    )
    # A file above the limit is rejected for its size alone: its bytes need not come here.
    wanted = F.lit(maker.album is not None)
    fits = wanted & (F.length(image) <= maker.limits.max_bytes)
    # Literal keys, not a join: Delta and Parquet skip what they cannot be in.
    rows = source.where(F.col("image_id").isin(list(keys))).select(
        "image_id",
        title.alias("title"),
        F.when(fits, image).alias("image"),
        F.when(wanted, path).alias("path"),
    )
    return rows.toLocalIterator()


def _garments_of(
    frames: Frames, keys: Iterable[str], groups: Groups
) -> defaultdict[str, list[Values]]:
    """Garments by image_id, the best first."""
    rows = frames.garments.where(F.col("image_id").isin(list(keys))).select(
        "image_id", "garment_no", "mask", *garment_columns(groups)
    )
    found: defaultdict[str, list[Values]] = defaultdict(list)
    for row in rows.orderBy("image_id", "garment_no").collect():
        found[row["image_id"]].append(row.asDict(recursive=True))
    return found


def garment_columns(groups: Groups) -> tuple[str, ...]:
    """Columns of ``garments`` that a garment's card is made from."""
    scores = (f"{group}_score" for group in groups.exclusive)
    return ("garment_id", "category", "score", "box", *groups.exclusive, *scores, *groups.multiple,
            "attribute_scores", "reviewed")  # fmt: skip


def crops_of(frames: Frames, garments: list[str], maker: CardMaker) -> dict[str, Picture | None]:
    """Cut-outs by garment_id."""
    if maker.album is None or not garments:
        return {}
    wanted = frames.garment_crops.where(F.col("garment_id").isin(garments))
    rows = wanted.select("garment_id", "crop").toLocalIterator()
    return {row["garment_id"]: maker.album.crop(row["crop"]) for row in rows}

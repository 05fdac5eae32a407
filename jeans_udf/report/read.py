"""The tables to a `Report`: every frame is pruned and limited before it is collected.

A sample is the images with the least hash of their key: the same ones on every machine and
however the table is laid out, and no order of the catalog shows through. Pictures come one at a
time and are shrunk on the way, so that memory does not grow with the sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf.config import ImageLimits
from jeans_udf.report.cards import CardMaker, Groups, Row, run_summary, with_crops
from jeans_udf.report.data import (
    Chart,
    PhotoCard,
    Picture,
    RejectedCard,
    Report,
    RunSummary,
    Sample,
)
from jeans_udf.report.page import SHOWN_GARMENTS
from jeans_udf.report.pictures import Album
from jeans_udf.report.queries import example_queries
from jeans_udf.tables import Output, Table, read_table, require_table

REJECTED_OF_EACH_REASON = 3
LATEST_RUNS = 6
LARGEST_BARS = 16
STATUS_COLUMNS = (
    "image_id", "product_id", "reason", "detail", "width", "height", "image_sha256",
)  # fmt: skip
Card = TypeVar("Card")
NO_SOURCE = {"title": None, "image": None, "path": None}


@dataclass(frozen=True)
class ReportOptions:
    """What goes onto the page."""

    title: str = "What is in the catalog"
    samples: int = 60
    """Most photos with garments; a fifth as many without."""
    with_pictures: bool = True
    """False: no pixel leaves the tables, for catalogs that show people."""


@dataclass(frozen=True)
class Frames:
    """The tables that a report reads."""

    source: DataFrame
    image_status: DataFrame
    garments: DataFrame
    garment_crops: DataFrame
    tagging_runs: DataFrame


def open_frames(spark: SparkSession, source: Table, output: Output) -> Frames:
    """The tables of a tagging run; raises `TableError` for one that is not there."""
    names = ("image_status", "garments", "garment_crops", "tagging_runs")
    wanted = [source, *(output.table(name) for name in names)]
    for table in wanted:
        require_table(spark, table)
    return Frames(*(read_table(spark, table) for table in wanted))


def read_report(
    spark: SparkSession, source: Table, output: Output, limits: ImageLimits, options: ReportOptions
) -> Report:
    """Collect the counts and the sample."""
    frames = open_frames(spark, source, output)
    groups = attribute_groups(frames.garments.schema)
    maker = CardMaker(groups, limits, Album() if options.with_pictures else None)
    statuses = counts(frames.image_status, "status")
    reasons = counts(frames.image_status, "reason")
    runs = latest_runs(frames.tagging_runs)
    versions = counts(frames.image_status, "model_version")
    return Report(
        title=options.title,
        source=str(source),
        output=output.text,
        made_at=datetime.now(UTC),
        model_version=next(iter(versions), runs[0].model_version if runs else None),
        statuses=statuses,
        garments=frames.garments.count(),
        runs=runs,
        charts=(*charts(frames.garments, groups), _chart("rejected", reasons, "images by reason")),
        tagged=Sample(tagged_photos(frames, maker, options), statuses.get("tagged", 0)),
        blank=Sample(blank_photos(frames, maker, options), statuses.get("no_garment", 0)),
        rejected=Sample(rejected_images(frames, maker), statuses.get("rejected", 0)),
        queries=example_queries(output.text),
        with_pictures=options.with_pictures,
    )


def attribute_groups(schema: T.StructType) -> Groups:
    """Exclusive groups have a score column beside them; the others are lists of labels."""
    names = set(schema.names)
    exclusive = [name for name in schema.names if f"{name}_score" in names]
    multiple = [
        field.name
        for field in schema.fields
        if field.name != "attributes" and field.dataType.simpleString() == "array<string>"
    ]
    return Groups(tuple(exclusive), tuple(multiple))


def counts(rows: DataFrame, column: str) -> dict[str, int]:
    """Rows by value, the most frequent first; bounded, and without null."""
    counted = rows.where(F.col(column).isNotNull()).groupBy(column).count()
    ordered = counted.orderBy(F.desc("count"), column).limit(LARGEST_BARS)
    return {row[column]: row["count"] for row in ordered.collect()}


def charts(garments: DataFrame, groups: Groups) -> Iterator[Chart]:
    """Garments by category and by each group's labels."""
    yield _chart("category", counts(garments, "category"), coloured=True)
    for group in groups.exclusive:
        yield _chart(group, counts(garments, group))
    for group in groups.multiple:
        yield _chart(group, counts(garments.select(F.explode(group).alias(group)), group))


def latest_runs(runs: DataFrame) -> tuple[RunSummary, ...]:
    """The last ones, the latest first."""
    columns = [
        "run_id", "started_at", "ended_at", "images", "deleted", "garments", "status_counts",
        "images_per_second", "wall_seconds", "model_version", "exit_code",
    ]  # fmt: skip
    latest = runs.select(*columns).orderBy(F.desc("started_at"), "run_id").limit(LATEST_RUNS)
    return tuple(run_summary(row.asDict(recursive=True)) for row in latest.collect())


def tagged_photos(
    frames: Frames, maker: CardMaker, options: ReportOptions
) -> tuple[PhotoCard, ...]:
    """A sample of the photos with garments."""
    images = _sample(frames, "tagged", options.samples)
    garments = _garments_of(frames, images, maker.groups)
    photos = _cards(frames, images, maker, lambda row: maker.photo(row, garments[row["image_id"]]))
    # After the photos: when the page is full, cut-outs are what is left out.
    crops = _crops_of(frames, [g for found in garments.values() for g in found], maker)
    return tuple(with_crops(photo, crops) for photo in photos)


def blank_photos(frames: Frames, maker: CardMaker, options: ReportOptions) -> tuple[PhotoCard, ...]:
    """A sample of the photos without any garment."""
    images = _sample(frames, "no_garment", max(1, options.samples // 5))
    return _cards(frames, images, maker, maker.photo)


def rejected_images(frames: Frames, maker: CardMaker) -> tuple[RejectedCard, ...]:
    """A few rejected images of every reason."""
    order = Window.partitionBy("reason").orderBy(_hash(), "image_id")
    images = frames.image_status.where("status = 'rejected'").select(*STATUS_COLUMNS)
    numbered = images.withColumn("place", F.row_number().over(order))
    few = numbered.where(F.col("place") <= REJECTED_OF_EACH_REASON).orderBy("reason", "place")
    return _cards(frames, [row.asDict() for row in few.collect()], maker, maker.rejected)


def _sample(frames: Frames, status: str, size: int) -> list[Row]:
    images = frames.image_status.where(F.col("status") == status).select(*STATUS_COLUMNS)
    return [row.asDict() for row in images.orderBy(_hash(), "image_id").limit(size).collect()]


def _cards(
    frames: Frames, images: list[Row], maker: CardMaker, make: Callable[[Row], Card]
) -> tuple[Card, ...]:
    """A card for each of ``images``, in their order, made as its source row arrives."""
    by_id = {row["image_id"]: row for row in images}
    # Literal keys, not a join: Delta and Parquet skip what they cannot be in.
    rows = frames.source.where(F.col("image_id").isin(list(by_id))).select(
        "image_id", "title", *_pixels(frames.source, maker)
    )
    made = {}
    for row in rows.toLocalIterator():
        made[row["image_id"]] = make({**by_id[row["image_id"]], **row.asDict()})
    # The source may have lost an image since it was tagged.
    return tuple(
        made[key] if key in made else make({**row, **NO_SOURCE}) for key, row in by_id.items()
    )


def _pixels(source: DataFrame, maker: CardMaker) -> tuple[Column, Column]:
    if maker.album is None:
        return F.lit(None).cast("binary").alias("image"), F.lit(None).cast("string").alias("path")
    # A file above the limit is rejected for its size alone: its bytes need not come here.
    fits = F.length("image") <= maker.limits.max_bytes
    return F.when(fits, F.col("image")).alias("image"), F.col("path")


def _garments_of(
    frames: Frames, images: list[Row], groups: Groups
) -> defaultdict[str, list[Row]]:
    """Garments by image_id, the best first."""
    wanted = F.col("image_id").isin([row["image_id"] for row in images])
    rows = frames.garments.where(wanted).select(
        "garment_id", "image_id", "garment_no", "category", "score", "box", "mask",
        *groups.exclusive, *(f"{group}_score" for group in groups.exclusive), *groups.multiple,
        "attribute_scores",
    )  # fmt: skip
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows.orderBy("image_id", "garment_no").collect():
        found[row["image_id"]].append(row.asDict(recursive=True))
    return found


def _crops_of(frames: Frames, garments: list[Row], maker: CardMaker) -> dict[str, Picture | None]:
    """Cut-outs by garment_id, of the garments that a card has room for."""
    if maker.album is None:
        return {}
    shown = [row["garment_id"] for row in garments if row["garment_no"] < SHOWN_GARMENTS]
    rows = frames.garment_crops.where(F.col("garment_id").isin(shown)).select("garment_id", "crop")
    return {row["garment_id"]: maker.album.crop(row["crop"]) for row in rows.toLocalIterator()}


def _chart(
    title: str, counted: Mapping[str, int], unit: str = "garments", coloured: bool = False
) -> Chart:
    return Chart(title.replace("_", " ").capitalize(), tuple(counted.items()), unit, coloured)


def _hash() -> Column:
    return F.xxhash64("image_id")

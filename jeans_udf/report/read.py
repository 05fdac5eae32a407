"""The tables to a `Report`: every frame is pruned and limited before it is collected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pyspark.sql import SparkSession

from jeans_udf.config import ImageLimits
from jeans_udf.report.cards import CardMaker
from jeans_udf.report.counts import (
    Counts,
    garment_counts,
    image_counts,
    latest_drift,
    latest_runs,
)
from jeans_udf.report.data import Chart, PhotoCard, RejectedCard, Report, Sample
from jeans_udf.report.findings import similar_products, weakest_garments
from jeans_udf.report.pictures import Album
from jeans_udf.report.queries import example_queries
from jeans_udf.report.samples import AnyCard, Frames, make_cards, sample_images
from jeans_udf.sources import open_source
from jeans_udf.table_names import Output, Table
from jeans_udf.tables import PICTURES, read_table, require_table, settings, table_exists
from jeans_udf.views.groups import groups_of
from jeans_udf.views.publishing import reviewed_garments

Card = TypeVar("Card", PhotoCard, RejectedCard)
LARGEST_BARS = 16


@dataclass(frozen=True)
class ReportOptions:
    """What goes onto the page."""

    title: str = "What is in the catalog"
    samples: int = 60
    """Most photos with garments; a fifth as many without."""
    with_pictures: bool = True
    """False: no pixel leaves the tables, for catalogs that show people."""
    truth: str | None = None
    """A label file to compare with."""
    dropped: frozenset[str] = frozenset()
    """Faults of its rows for which a row is left out instead of the file refused."""


def open_frames(spark: SparkSession, source: Table, output: Output) -> Frames:
    """The tables of a tagging run, its garments as the model tagged them.

    Raises `TableError` for one that is not there.
    """
    names = ("image_status", "garments", "garment_crops", "tagging_runs")
    images = open_source(spark, source).read(spark)
    wanted = [output.table(name) for name in names]
    for table in wanted:
        require_table(spark, table)
    similar = output.table("similar_products")
    return Frames(
        images,
        *(read_table(spark, table) for table in wanted),
        read_table(spark, similar) if table_exists(spark, similar) else None,
    )


def read_report(
    spark: SparkSession, source: Table, output: Output, limits: ImageLimits, options: ReportOptions
) -> Report:
    """Collect the counts and the sample; every query is bounded."""
    with settings(spark, PICTURES):
        return _read(spark, source, output, limits, options)


def _read(
    spark: SparkSession, source: Table, output: Output, limits: ImageLimits, options: ReportOptions
) -> Report:
    frames = open_frames(spark, source, output)
    quality = None
    if options.truth is not None:
        # Here: scikit-learn takes a second to import, and most reports have no truth.
        from jeans_udf.report.quality import label_quality

        quality = label_quality(spark, frames, options.truth, options.dropped)
    # From here on what people corrected stands in the place of the model's word.
    frames = replace(frames, garments=reviewed_garments(spark, output, frames.garments))
    groups = groups_of(frames.garments.schema)
    statuses, reasons, versions = image_counts(frames.image_status)
    bars = garment_counts(frames.garments, groups)
    runs = latest_runs(frames.tagging_runs)
    images = sample_images(frames.image_status, options.samples)
    album = Album.of_photos(len(images)) if options.with_pictures else None
    maker = CardMaker(groups, limits, album)
    # Before the sample: these are few, and a full page should not leave them without pictures.
    weakest = weakest_garments(frames, maker)
    similar = similar_products(frames, images, maker)
    cards = make_cards(frames, images, maker)
    charts = [_chart(name, bars[name], coloured=name == "category") for name in bars]
    return Report(
        title=options.title,
        source=str(source),
        output=output.text,
        made_at=datetime.now(UTC),
        # That of most images: a full pass with another bundle may be under way.
        model_version=max(versions, key=lambda name: versions[name], default=None)
        or (runs[0].model_version if runs else None),
        statuses=statuses,
        garments=bars["category"].total(),
        runs=runs,
        drift=latest_drift(frames.tagging_runs),
        charts=(*charts, _chart("rejected", reasons, "images by reason")),
        tagged=_sample_of(PhotoCard, "tagged", images, cards, statuses),
        blank=_sample_of(PhotoCard, "no_garment", images, cards, statuses),
        rejected=_sample_of(RejectedCard, "rejected", images, cards, statuses),
        queries=example_queries(output.text, groups),
        weakest=weakest,
        similar=similar,
        quality=quality,
        with_pictures=options.with_pictures,
    )


def _sample_of(
    kind: type[Card],
    status: str,
    images: list[dict[str, Any]],
    cards: dict[str, AnyCard],
    statuses: Counts,
) -> Sample[Card]:
    wanted = (cards[row["image_id"]] for row in images if row["status"] == status)
    return Sample(tuple(card for card in wanted if isinstance(card, kind)), statuses[status])


def _chart(title: str, counts: Counts, unit: str = "garments", coloured: bool = False) -> Chart:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = tuple(ordered[:LARGEST_BARS])
    return Chart(title.replace("_", " ").capitalize(), shown, unit, coloured)

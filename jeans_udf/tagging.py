"""A tagging run from start to record: checks, the pass over the pixels in the pipeline, views."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from jeans_udf import tables
from jeans_udf.bundle import Bundle
from jeans_udf.bundle_places import places_of
from jeans_udf.commit import versions_of
from jeans_udf.config import TaggingConfig
from jeans_udf.listeners import spark_metrics
from jeans_udf.pipeline import PLAIN, Refresh, open_catalog, tag_catalog
from jeans_udf.progress import Counters, Display
from jeans_udf.resources import gpu_share, pixel_profile
from jeans_udf.run_log import measure_drift, recorded
from jeans_udf.runs import Listener, Run
from jeans_udf.schemas import garments_schema
from jeans_udf.sources import Source, open_source
from jeans_udf.staging import Tag
from jeans_udf.table_names import Output, Table
from jeans_udf.thresholds import detector_identity
from jeans_udf.udf import tag_images
from jeans_udf.views.publishing import publish_views, remembered
from jeans_udf.vocabulary import Vocabulary

NO_VIEWS = ("MISSING_CATALOG_ABILITY", "UNSUPPORTED_FEATURE")
"""How Spark begins the names of its errors for a catalog without views."""


def run_tagging(
    spark: SparkSession,
    source: Table,
    output: Output,
    bundle: Bundle,
    config: TaggingConfig,
    *,
    run_id: str | None = None,
    refresh: Refresh = PLAIN,
    wait_seconds: float = 0.0,
    console: Console | None = None,
    listeners: Sequence[Listener] = (),
) -> Run:
    """Bring ``output`` up to ``source``'s present with ``bundle``; the finished run.

    Raises `UsageError` before any work when a table does not fit, `BusyError` when another run is
    at work after ``wait_seconds``. Progress goes to ``console`` (standard error without one).
    Whatever happens after the checks, tagging_runs has the run's row. ``listeners`` hear of it
    beside Spark's metrics, which always do.
    """
    run = Run(str(source), bundle.model_version, bundle.manifest_sha256, config)
    run.detector = detector_identity(bundle, config)
    run.listeners = (*spark_metrics(spark), *listeners)
    if run_id is not None:
        run.run_id = run_id
    counters = Counters(spark.sparkContext)
    profile, share = pixel_profile(spark, config.stage), gpu_share(spark, config.stage)

    def tag(images: DataFrame) -> DataFrame:
        places, words = places_of(bundle.directory), bundle.vocabulary
        return tag_images(
            images, places, bundle.manifest_sha256, config, words, counters, profile, share
        )

    images = open_source(spark, source)
    with Display(counters, console) as display:
        carry_out(
            spark, images, output, run, tag, bundle.vocabulary, refresh, wait_seconds, display
        )
    return run


def carry_out(
    spark: SparkSession,
    source: Source,
    output: Output,
    run: Run,
    tag: Tag,
    vocabulary: Vocabulary,
    refresh: Refresh = PLAIN,
    wait_seconds: float = 0.0,
    display: Display | None = None,
) -> None:
    """The run itself, whatever ``tag`` is: its turn, its row, the tables, drift, views."""
    run.kind = refresh.kind
    catalog = open_catalog(spark, output, vocabulary)
    work = tables.work_folder(spark, output)
    with recorded(spark, catalog.tagging_runs, work, run, wait_seconds=wait_seconds):
        # Every line that an executor logs while it works for this run then names it.
        spark.sparkContext.setLocalProperty("mdc.run_id", run.run_id)
        # Not before the run has its turn: until then the tables are another run's.
        tables.renew_comments(spark, catalog.garments, garments_schema(vocabulary))
        run.tables_before = versions_of(spark, catalog)
        tag_catalog(spark, source, output, run, tag, vocabulary, run.config, display, refresh)
        measure_drift(spark, catalog.tagging_runs, run, vocabulary)
    _publish(spark, output, vocabulary)


def _publish(spark: SparkSession, output: Output, vocabulary: Vocabulary) -> None:
    """The views, as they were last asked for; where the catalog keeps none, it is only told."""
    try:
        publish_views(spark, output, garments_schema(vocabulary), remembered(spark, output))
    except AnalysisException as error:
        if not (error.getCondition() or "").startswith(NO_VIEWS):
            raise
        first = str(error).strip().splitlines()[0]
        print(
            f"the views could not be published: {first}\n"
            "give them a schema that can hold them: publish_views.py --into SCHEMA",
            file=sys.stderr,
        )

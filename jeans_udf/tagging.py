"""A tagging run from start to record: checks, the pass over the pixels in the pipeline, views."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession
from rich.console import Console

from jeans_udf.bundle import Bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.pipeline import check_source, open_catalog, tag_catalog
from jeans_udf.progress import Counters, Display
from jeans_udf.runs import Run, recorded
from jeans_udf.tables import Output, Table
from jeans_udf.udf import tag_images
from jeans_udf.views import publish_views


def run_tagging(
    spark: SparkSession,
    source: Table,
    output: Output,
    bundle: Bundle,
    config: TaggingConfig,
    *,
    run_id: str | None = None,
    console: Console | None = None,
) -> Run:
    """Bring ``output`` up to ``source``'s present with ``bundle``; the finished run.

    Raises `UsageError` before any work when a table does not fit. Progress goes to ``console``
    (standard error without one). Whatever happens after the checks, tagging_runs gets its row.
    """
    check_source(spark, source)
    catalog = open_catalog(spark, output, bundle.vocabulary)
    run = Run(str(source), bundle.model_version, bundle.manifest_sha256, config)
    if run_id is not None:
        run.run_id = run_id
    counters = Counters(spark.sparkContext)

    def tag(images: DataFrame) -> DataFrame:
        folder, words = bundle.directory.resolve(), bundle.vocabulary
        return tag_images(images, folder, bundle.manifest_sha256, config, words, counters)

    with recorded(spark, catalog.tagging_runs, run), Display(counters, console) as display:
        tag_catalog(
            spark, source, output, run, tag, bundle.vocabulary, config.batch, display
        )
    publish_views(spark, output, bundle.vocabulary)
    return run

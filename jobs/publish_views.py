"""Install the analysts' views on a tagged catalog, and describe its tables for dbt."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from pyspark.sql import types as T

from jeans_udf import tables
from jeans_udf.errors import EXIT_OK, ConfigError, TableError, carried_out
from jeans_udf.session import build_session, stop_session
from jeans_udf.table_names import Output, parse_output
from jeans_udf.tagging import NO_VIEWS
from jeans_udf.views.dbt import TABLES, schema_yml
from jeans_udf.views.publishing import (
    Before,
    Publication,
    garments_of,
    present,
    publish_views,
    remembered,
)

MORE = """\
tag_catalog.py publishes the views by itself; this job is for other places and further views. Of the
output's own views tag_catalog.py keeps --least-confidence and model_diff as they were last given.

views, each with comments on every column:
  reviewed_garments       garments, with people's corrections from attribute_overrides
  product_attributes      one row per product: its best garment
  rejected_images         what could not be tagged, and why
  attribute_coverage      how many garments have an answer, by category and attribute
  low_confidence          garments that a person should look at
  attribute_trends        how often each label was given, run by run
  garments_with_crops     garments with their cut-out pictures
  ignored_overrides       rows of attribute_overrides that nothing follows, and why
  near_duplicate_images   images that look nearly the same
  model_diff              with --compare-with or --before-run: two bundles, image by image

The views of a directory are written to its views.sql, for spark-sql -i; with --into they become
views of a schema, whatever the output is.

examples:
  python jobs/publish_views.py --output shop
  python jobs/publish_views.py --output ./catalog/tags --into main.analytics
  python jobs/publish_views.py --output shop --before-run 3f2a --least-confidence 0.6
  python jobs/publish_views.py --output shop --dbt models/schema.yml

exit codes: 0 fine; 1 failed; 2 bad table, schema or run, nothing done
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="publish_views.py",
        description=__doc__,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--output", required=True, metavar="DIR_OR_SCHEMA",
        help="where tag_catalog.py has written its tables")  # fmt: skip
    add("--into", metavar="SCHEMA", help="schema or catalog.schema that is to hold the views")
    add("--least-confidence", type=float, metavar="SCORE", help="low_confidence shows garments "
        "with a score below this (default: as before, at first 0.5)")  # fmt: skip
    sides = parser.add_mutually_exclusive_group()
    sides.add_argument("--compare-with", metavar="DIR_OR_SCHEMA",
                       help="model_diff: another output, as the side before")  # fmt: skip
    sides.add_argument("--before-run", metavar="RUN_ID",
                       help="model_diff: this output as it was before a run")  # fmt: skip
    sides.add_argument("--without-diff", action="store_true", help="no model_diff any more")
    add("--dbt", metavar="FILE", help="also write a dbt schema.yml of the tables and views")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return carried_out("publish_views", lambda: publish(options))


def publish(options: argparse.Namespace) -> int:
    least = options.least_confidence
    if least is not None and not 0 <= least <= 1:
        raise ConfigError(f"--least-confidence {least}: wanted 0 to 1")
    output = parse_output(options.output)
    into = parse_output(options.into) if options.into is not None else None
    if into is not None and into.is_path:
        raise ConfigError(
            f"--into {options.into}: wanted a schema, as shop or main.shop; the views of a "
            "directory are in its views.sql"
        )
    spark = build_session("publish_views")
    try:
        garments = garments_of(spark, output)
        # What is not said stays as it was said the last time.
        before = side_before(spark, output, options)
        # A side that is not wanted any more may be one that cannot be read.
        keeps_side = before is None and not options.without_diff
        last = remembered(spark, into or output, with_side=keeps_side)
        publication = Publication(
            into=into, least_confidence=last.least_confidence if least is None else least,
            before=before or last.before,
        )  # fmt: skip
        names = published(spark, output, garments, publication)
        if options.dbt is not None:
            there = [name for name in TABLES if tables.table_exists(spark, output.table(name))]
            text = schema_yml(output, garments, publication, there)
            Path(options.dbt).write_text(text, "utf-8")
    finally:
        stop_session(spark)
    where = "" if (into or output).is_path is False else f" in {output.text}/views.sql"
    print(f"{len(names)} views{where}:")
    for name in names:
        print(f"  {name}")
    if options.dbt is not None:
        print(f"dbt's description: {options.dbt}")
    return EXIT_OK


def published(
    spark: SparkSession, output: Output, garments: T.StructType, publication: Publication
) -> list[str]:
    """Publish the views; their names. `TableError` where the catalog keeps no views."""
    try:
        return publish_views(spark, output, garments, publication)
    except AnalysisException as error:
        if not (error.getCondition() or "").startswith(NO_VIEWS):
            raise
        first = str(error).strip().splitlines()[0]
        place = publication.into or output
        raise TableError(
            f"{place.text}: this catalog keeps no views ({first}); give a schema that can hold "
            "them: --into SCHEMA"
        ) from None


def side_before(
    spark: SparkSession, output: Output, options: argparse.Namespace
) -> Before | None:
    """What model_diff compares with, if anything."""
    if options.compare_with is not None:
        other = parse_output(options.compare_with)
        told = f"{other.text} before, {output.text} after"
        garments_of(spark, other)
        before = present(spark, Before(other, told=told))
        if before is None:
            raise ConfigError(
                f"--compare-with {options.compare_with}: {other.table('image_status')} or files of "
                f"{other.table('garments')} are not there; run tag_catalog.py on it"
            )
        return before
    if options.before_run is None:
        return None
    runs = tables.read_table(spark, output.table("tagging_runs"))
    rows = runs.where(runs.run_id.startswith(options.before_run)).collect()
    # A run's whole name may be the beginning of another's.
    rows = [row for row in rows if row.run_id == options.before_run] or rows
    if len(rows) != 1:
        known = [row.run_id for row in runs.orderBy("run_no").select("run_id").collect()]
        raise ConfigError(
            f"--before-run {options.before_run}: {len(rows)} runs are called so; known: "
            + ", ".join(known[-10:])
        )
    versions = dict(rows[0].tables_before or {})
    # A run that was killed before it began to tag noted none.
    if not {"image_status", "garments"} <= versions.keys():
        raise ConfigError(
            f"--before-run {options.before_run}: this run changed no table, or is older than "
            "rollbacks; give the run after it"
        )
    told = f"before run {rows[0].run_id}, and now"
    before = present(spark, Before(output, versions, told))
    if before is None:
        raise ConfigError(
            f"--before-run {options.before_run}: the tables of that time can be read no more, as "
            "after a VACUUM or delta.deletedFileRetentionDuration"
        )
    return before


if __name__ == "__main__":
    sys.exit(main())

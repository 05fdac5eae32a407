"""Find, cut out and name the garments of a catalog's images: product_images to Delta tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pyspark.sql import SparkSession

from jeans_udf.bundle import Bundle, open_bundle
from jeans_udf.config import TaggingConfig, load_config
from jeans_udf.engines.registry import check_engine
from jeans_udf.errors import EXIT_OK, carried_out
from jeans_udf.listeners import JsonLines, MlflowRun
from jeans_udf.pipeline import Refresh
from jeans_udf.progress import print_summary
from jeans_udf.rollback import rollback
from jeans_udf.run_status import print_state, read_state
from jeans_udf.runs import Listener, Run
from jeans_udf.session import build_session, stop_session
from jeans_udf.sources import open_source
from jeans_udf.table_names import Output, parse_output, parse_table
from jeans_udf.tagging import run_tagging

MORE = """\
The first run tags the whole source, each later one what changed since: run the same command after
each ingest, and again after a crash. A run with nothing new loads no model and writes only its
own row of tagging_runs. A new bundle tags every image again; one with the same detector only
classifies again what that detector found.

A Delta table with its change data feed on (ingest_images.py sees to that) tells what changed. Any
other source is read whole and compared by key and hash: a folder of Parquet files, a table of
another format, a JDBC table of a catalog that Spark knows (spark.sql.catalog.NAME).

An image that crashes or hangs the models' process, or eats its memory, is rejected as
worker_crashed or timed_out and costs no other image; it is not tried again before its bytes
change, or --retry-rejected asks for it.

tables written to the output:
  image_status          one row per image: tagged, no_garment, or rejected with a reason
  garments              one row per garment: category, box, mask, attributes, scores
  garment_crops         one row per garment: its picture, background transparent
  image_detections      one row per image: what the detector found, for another classifier
  tagging_runs          one row per run: counts, rates, versions, configuration, exit code
  attribute_overrides   made empty: people write their corrections into it
views (for a directory: in its views.sql; publish_views.py --help says what each holds):
  product_attributes, reviewed_garments, garments_with_crops, rejected_images, low_confidence,
  attribute_coverage, attribute_trends, near_duplicate_images, ignored_overrides

examples:
  python jobs/tag_catalog.py --source build/tables/product_images --output build/tables
  spark-submit --properties-file conf/spark/local.conf jobs/tag_catalog.py \\
      --source shop.product_images --output shop --config conf/tagging.yaml \\
      --set batch.max_bytes=512m --set detection.score_threshold=0.6

  python jobs/tag_catalog.py --source shop.product_images --output shop --status
  python jobs/tag_catalog.py --source shop.product_images --output shop --rollback RUN_ID

exit codes: 0 fine; 1 failed, run the same command to go on; 2 bad configuration, bundle or
table, nothing done; 3 finished, but more images rejected than max_rejected_fraction allows or
labels drifted beyond drift.max_index; 4 another run is at work on the output, nothing done
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tag_catalog.py",
        description=__doc__,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--source", required=True, metavar="TABLE",
        help="product_images: a directory (with a slash) or a name")  # fmt: skip
    add("--output", required=True, metavar="DIR_OR_SCHEMA",
        help="a directory (with a slash) to hold the tables, or a schema")  # fmt: skip
    add("--config", metavar="FILE", help="YAML; its keys are explained in conf/tagging.yaml")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="stronger than the file")
    add("--run-id", metavar="ID", help="key in tagging_runs, as a scheduler's (default: a new one)")
    what = parser.add_argument_group("instead of what changed").add_mutually_exclusive_group()
    other = what.add_argument
    other("--full", action="store_true",
          help="tag every image again, in batches; an interrupted pass goes on")  # fmt: skip
    other("--retry-rejected", action="store_true",
          help="try again what stands as rejected, besides what changed")  # fmt: skip
    other("--status", action="store_true",
          help="show the last runs and what is pending; nothing is written")  # fmt: skip
    other("--rollback", metavar="RUN_ID",
          help="bring the tables back to before this run and the later ones; its whole run_id, "
          "as --status shows it")  # fmt: skip
    add("--metrics", metavar="FILE",
        help="append a JSON line for each batch and for the run")  # fmt: skip
    add("--mlflow", metavar="EXPERIMENT",
        help="log the run to MLflow; MLFLOW_TRACKING_URI says where")  # fmt: skip
    add("--wait", type=float, default=0.0, metavar="SECONDS",
        help="wait so long for another run on this output to end (default 0: leave)")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return carried_out("tag_catalog", lambda: tag(options))


def tag(options: argparse.Namespace) -> int:
    config = load_config(options.config, options.set)
    source, output = parse_table(options.source), parse_output(options.output)
    check_engine(config.device.engine, config.device.precision)
    bundle = open_bundle(config.bundle)
    listeners: list[Listener] = []
    if options.metrics is not None:
        listeners.append(JsonLines(options.metrics))
    if options.mlflow is not None:
        listeners.append(MlflowRun(options.mlflow))
    spark = build_session("tag_catalog")
    try:
        if options.status:
            images = open_source(spark, source)
            print_state(read_state(spark, images, output, bundle.model_version))
            return EXIT_OK
        if options.rollback is not None:
            return roll_back(spark, options, output, bundle, config)
        refresh = Refresh(options.full, options.retry_rejected)
        run = run_tagging(
            spark, source, output, bundle, config,
            run_id=options.run_id, refresh=refresh, wait_seconds=options.wait,
            listeners=listeners,
        )  # fmt: skip
    finally:
        stop_session(spark)
    print_summary(run, output)
    for limit in run.over_limits():
        print(f"tag_catalog: {limit}; the rows are written: look at them, and go back with "
              f"--rollback {run.run_id} if they are wrong", file=sys.stderr)  # fmt: skip
    assert run.exit_code is not None
    return run.exit_code


def roll_back(
    spark: SparkSession,
    options: argparse.Namespace,
    output: Output,
    bundle: Bundle,
    config: TaggingConfig,
) -> int:
    run = Run(options.source, bundle.model_version, bundle.manifest_sha256, config)
    if options.run_id is not None:
        run.run_id = options.run_id
    versions = rollback(spark, output, options.rollback, run, options.wait)
    for name, version in versions.items():
        print(f"{output.table(name)}: as in its version {version}")
    print("The next run compares the whole source with these rows, and tags again what differs.")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

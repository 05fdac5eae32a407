"""Find, cut out and name the garments of a catalog's images: product_images to Delta tables."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jeans_udf.bundle import open_bundle
from jeans_udf.config import load_config
from jeans_udf.errors import EXIT_FAILED, EXIT_USAGE, JeansError, UsageError
from jeans_udf.progress import print_summary
from jeans_udf.session import build_session
from jeans_udf.tables import parse_output, parse_table
from jeans_udf.tagging import run_tagging

MORE = """\
The first run tags the whole source, each later one what changed since: run the same command after
each ingest, and again after a crash. A run with nothing new loads no model and writes only its
own row of tagging_runs. A new bundle tags every image again. The source keeps its change data
feed on (ingest_images.py sees to that).

tables written to the output:
  image_status    one row per image: tagged, no_garment, or rejected with a reason
  garments        one row per garment: category, box, mask, attributes, scores
  garment_crops   one row per garment: its picture, background transparent
  tagging_runs    one row per run: counts, rates, versions, configuration, exit code
views: product_attributes, rejected_images (for a directory: in its views.sql)

examples:
  python jobs/tag_catalog.py --source build/tables/product_images --output build/tables
  spark-submit --properties-file conf/spark/local.conf jobs/tag_catalog.py \\
      --source shop.product_images --output shop --config conf/tagging.yaml \\
      --set batch.max_bytes=512m --set detection.score_threshold=0.6

exit codes: 0 fine; 1 failed, run the same command to go on; 2 bad configuration, bundle or
table, nothing done; 3 finished, but more images rejected than max_rejected_fraction allows
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
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return tag(options)
    except UsageError as error:
        print(f"tag_catalog: {error}", file=sys.stderr)
        return EXIT_USAGE
    except JeansError as error:
        print(f"tag_catalog: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("tag_catalog: interrupted; the same command goes on from here", file=sys.stderr)
        return EXIT_FAILED


def tag(options: argparse.Namespace) -> int:
    config = load_config(options.config, options.set)
    source, output = parse_table(options.source), parse_output(options.output)
    bundle = open_bundle(config.bundle)
    spark = build_session("tag_catalog")
    try:
        run = run_tagging(spark, source, output, bundle, config, run_id=options.run_id)
    finally:
        spark.stop()
    print_summary(run, output)
    assert run.exit_code is not None
    return run.exit_code


if __name__ == "__main__":
    sys.exit(main())

"""Write one HTML page about a tagged catalog: photos with masks, cut-outs, attributes, rejects."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jeans_udf.config import load_config
from jeans_udf.errors import EXIT_OK, EXIT_USAGE, ConfigError, UsageError
from jeans_udf.labels.dropping import add_drop_faulty, dropped_codes
from jeans_udf.report.page import write_page
from jeans_udf.report.read import ReportOptions, read_report
from jeans_udf.session import build_session, stop_session
from jeans_udf.table_names import parse_output, parse_table

MOST_SAMPLES = 2_000
EXAMPLES = """\
examples:
  the tables of a folder, 60 photos on the page
      report.py --source build/demo/tables/product_images --output build/demo/tables \\
          --html build/report.html
  tables of a schema, numbers and words only: for catalogs that show people
      report.py --source shop.product_images --output shop.tags --html tags.html --no-pictures
  a thousand photos, and how often each label is right
      report.py --source shop.product_images --output shop.tags --html tags.html \\
          --samples 1000 --truth labels.csv

The page is one file that loads nothing, so it can be mailed or archived. Its one script filters the
images; a policy in the page lets no other run, and without it everything is shown. The same tables
give the same sample. It holds copies of the photos shown: treat it like the catalog.
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="report.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--source", required=True, metavar="TABLE", help="product_images: directory or name")
    add("--output", required=True, metavar="DIR_OR_SCHEMA", help="what tag_catalog.py wrote to")
    add("--html", required=True, metavar="FILE", help="the page to write")
    add("--samples", type=int, default=ReportOptions.samples, metavar="N",
        help=f"most photos with garments, 1 to {MOST_SAMPLES:,} (default: "
        f"{ReportOptions.samples}), smaller ones if many; a fifth as many without")  # fmt: skip
    add("--truth", metavar="FILE",
        help="labels that people gave, CSV or Parquet as train_classifier.py reads it: file_path "
        "(an image_id, or a path that ends in one), and a column for each group or one called "
        "label; the page then has precision, recall and F1 of each label")  # fmt: skip
    add_drop_faulty(parser)
    add("--title", default=ReportOptions.title, help="heading of the page")
    add("--no-pictures", action="store_true", help="no pixel leaves the tables")
    add("--config", metavar="FILE", help="configuration of tag_catalog.py, for images.*")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="as in tag_catalog.py")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        if not 1 <= options.samples <= MOST_SAMPLES:
            raise ConfigError(f"--samples: got {options.samples}, wanted 1 to {MOST_SAMPLES:,}")
        config = load_config(options.config, options.set)
        source, output = parse_table(options.source), parse_output(options.output)
        wanted = ReportOptions(
            options.title, options.samples, not options.no_pictures,
            options.truth, dropped_codes(options.drop_faulty),
        )  # fmt: skip
        spark = build_session("report")
        try:
            report = read_report(spark, source, output, config.images, wanted)
        finally:
            stop_session(spark)
        file = write_page(report, options.html)
    except UsageError as error:
        print(f"report: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(
        f"wrote {file}: {file.stat().st_size / 1e6:.1f} MB, {report.images:,} images, "
        f"{len(report.tagged.cards):,} photos shown"
    )
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

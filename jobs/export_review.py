"""Write the garments that people should look at, or have corrected, as a dataset for training."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jeans_udf import tables
from jeans_udf.config import load_config
from jeans_udf.errors import EXIT_OK, ConfigError, carried_out
from jeans_udf.review.export import export, wanted_images
from jeans_udf.session import build_session, stop_session
from jeans_udf.sources import open_source
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.views.groups import groups_of
from jeans_udf.views.publishing import create_views, garments_of, remembered

MORE = """\
Photos of garments that are corrected in attribute_overrides come first, then those of the view
low_confidence, least confident first. Each photo goes out with all its garments, corrected where
people corrected them.

written to the folder:
  photos/           the photos' own bytes
  instances.json    COCO, masks as run lengths; score and reviewed among the attributes
  attributes.csv    file_path, annotation_id, category and one column for each group

Look through them (labels can be corrected in attributes.csv, outlines in any tool that reads COCO),
then train:
  python jobs/import_annotations.py --photos DIR/photos --annotations DIR/instances.json \\
      --output DIR/dataset
  python jobs/train_classifier.py --photos DIR/photos --annotations DIR/instances.json \\
      --labels DIR/attributes.csv --output runs/classifier

example:
  python jobs/export_review.py --source shop.product_images --output shop --to review/2026-11

exit codes: 0 fine; 1 failed; 2 bad configuration or table, nothing done
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="export_review.py",
        description=__doc__,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--source", required=True, metavar="TABLE",
        help="product_images: a directory (with a slash) or a name")  # fmt: skip
    add("--output", required=True, metavar="DIR_OR_SCHEMA",
        help="where tag_catalog.py has written its tables")  # fmt: skip
    add("--to", required=True, metavar="DIR", type=Path,
        help="folder for the dataset, new or empty")  # fmt: skip
    add("--limit", type=int, default=500, metavar="N", help="most photos (default 500)")
    add("--least-confidence", type=float, metavar="SCORE", help="garments with a score below this "
        "are to be looked at (default: as published, at first 0.5)")  # fmt: skip
    add("--config", metavar="FILE", help="as of tag_catalog.py, for images.roots and limits")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="stronger than the file")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return carried_out("export_review", lambda: write(options))


def write(options: argparse.Namespace) -> int:
    config = load_config(options.config, options.set)
    source, output = parse_table(options.source), parse_output(options.output)
    least = options.least_confidence
    if options.limit < 1 or (least is not None and not 0 <= least <= 1):
        raise ConfigError("wanted --limit of 1 or more, and --least-confidence of 0 to 1")
    if options.to.exists() and (not options.to.is_dir() or any(options.to.iterdir())):
        raise ConfigError(f"--to {options.to}: is no empty folder; give a new one")
    spark = build_session("export_review")
    try:
        garments = garments_of(spark, output)
        images = open_source(spark, source).read(spark)
        # In this session alone, by the threshold that was published or given.
        publication = replace(remembered(spark, output, with_side=False), temporary=True)
        if least is not None:
            publication = replace(publication, least_confidence=least)
        create_views(spark, output, garments, publication)
        wanted = wanted_images(
            tables.read_table(spark, output.table("image_status")),
            spark.table("reviewed_garments"),
            spark.table("low_confidence"),
            tables.read_table(spark, output.table("attribute_overrides")),
            spark.table("ignored_overrides"),
            options.limit,
        )
        with tables.settings(spark, tables.PICTURES):
            done = export(images, wanted, groups_of(garments), options.to, config.images)
        done.ignored = spark.table("ignored_overrides").count()
    finally:
        stop_session(spark)
    print(f"{done.photos} photos with {done.garments} garments, {done.corrected} of them corrected "
          f"by people: {options.to}")  # fmt: skip
    if done.without_mask:
        print(f"left out: photos with {done.without_mask} garments without a mask, as the "
              "training jobs learn from outlines alone; tag with a bundle whose detector gives "
              "masks, as the default one does, and export again")  # fmt: skip
    if done.ignored:
        print(f"not followed: {done.ignored} rows of attribute_overrides; the view "
              "ignored_overrides says why")  # fmt: skip
    if done.changed:
        print(f"left out: {len(done.changed)} photos that changed, or went, after tagging, as "
              f"{done.changed[0]}")  # fmt: skip
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

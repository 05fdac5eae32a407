"""Draw a demo catalog, or a labelled training set, by seeded code: no photo, no download."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from jeans_udf.drawing import draw_catalog, draw_dataset
from jeans_udf.drawing.dataset import ANNOTATION_FORMATS
from jeans_udf.errors import EXIT_OK, EXIT_USAGE, UsageError

EXAMPLES = """\
examples:
  a catalog of 72 files to tag (62 of them readable), listed in products.csv
      draw_catalog.py --output build/catalog
  2,000 labelled pictures to train on: photos/, annotations/ (COCO, attributes.csv, photos.csv)
      draw_catalog.py --dataset --count 2000 --seed 1 --output build/drawn
  20 of them with outlines as LabelMe writes them, for import_annotations.py
      draw_catalog.py --dataset --count 20 --annotation-format labelme --output build/own

The same seed draws the same pictures. A catalog holds each kind of broken file on purpose
(empty, truncated, HTML named .jpg, a PNG bomb, ...), so that a run shows how they are reported.
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="draw_catalog.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="where the files go")
    parser.add_argument("--count", type=int, metavar="N", help="files to draw (default: 72; "
                        "with --dataset: 500 pictures)")  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="S", help="which pictures (default: 7)")
    parser.add_argument("--dataset", action="store_true", help="draw a labelled training set "
                        "instead of a catalog: exact masks and attributes")  # fmt: skip
    parser.add_argument("--negatives", type=float, default=0.25, metavar="SHARE",
                        help="with --dataset: share of pictures without a garment "
                        "(default: 0.25)")  # fmt: skip
    parser.add_argument("--annotation-format", choices=list(ANNOTATION_FORMATS), default="coco",
                        help="with --dataset: how the masks are written; coco: run lengths; "
                        "labelme, via: polygons (default: coco)")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    seed = 7 if options.seed is None else options.seed
    try:
        if options.dataset:
            count = 500 if options.count is None else options.count
            written = draw_dataset(
                options.output, count, seed, options.negatives,
                annotation_format=options.annotation_format,
            )  # fmt: skip
        else:
            count = 72 if options.count is None else options.count
            written = draw_catalog(options.output, count, seed)
    except UsageError as error:
        print(f"draw_catalog: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(f"drew {count} {'pictures' if options.dataset else 'files'} in {written}")
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())

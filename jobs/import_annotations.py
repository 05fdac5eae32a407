"""Turn your own annotations (COCO, LabelMe, VGG VIA) into one checked dataset to train on."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jeans_udf.annotations.faults import FAULTS, FaultLog
from jeans_udf.annotations.formats import FORMATS
from jeans_udf.annotations.importing import Request, import_annotations
from jeans_udf.annotations.listed import Source, parse_names
from jeans_udf.annotations.overview import write_overview
from jeans_udf.annotations.products import find_products
from jeans_udf.annotations.split import SPLITS, Splitting
from jeans_udf.annotations.writing import write_dataset
from jeans_udf.conf_files import conf_file
from jeans_udf.errors import EXIT_OK, EXIT_USAGE, ConfigError, UsageError
from jeans_udf.vocabulary import load_vocabulary

MORE = f"""\
formats, found by themselves:
{chr(10).join(f"  {name:<8} {what}" for name, what in FORMATS.items())}

Every photo is decoded and every mask checked. All faults are listed here and in faults.csv of the
output folder, each with file, photo, entry and a code; then nothing else is written. With
--drop-faulty the rest is written: a faulty annotation is left out, so is a photo with a fault, and
a photo all of whose annotations are faulty. Photos listed without annotation are negatives: they
teach what is no garment.

Written: instances_train.json and instances_val.json (COCO), summary.json, faults.csv, and
overview.png with up to 12 photos and their masks. Look at it before you train.

examples:
  20 drawn pictures as LabelMe files, imported; the last line says how to train on them
      draw_catalog.py --dataset --count 20 --annotation-format labelme --output build/own
      import_annotations.py --photos build/own/photos --annotations build/own/annotations/labelme \\
          --output build/own/dataset
  a COCO file with other names, the photos of a product (product_id/photo.jpg) kept together
      import_annotations.py --photos photos --annotations export.json --rename denim=jeans \\
          --ignore-category shirt --product-pattern '^([^/]+)/' --output build/dataset
  files that are parted already: checked against each other
      import_annotations.py --photos photos --train train.json --val val.json --output build/dataset

fault codes:
{chr(10).join(f"  {code:<24} {what}" for code, what in FAULTS.items())}

exit codes: 0 written; 2 faults, or a request that cannot work
"""
LINES = 100
"""Faults told on the terminal; faults.csv has all."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="import_annotations.py",
        description=__doc__,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--photos", type=Path, required=True, metavar="DIR", help="folder of the photos")
    add("--annotations", type=Path, action="append", default=[], metavar="PATH",
        help="file or folder, parted by --val-share; may be repeated")  # fmt: skip
    add("--train", type=Path, action="append", default=[], metavar="PATH",
        help="file or folder for training, with --val; may be repeated")  # fmt: skip
    add("--val", type=Path, action="append", default=[], metavar="PATH",
        help="file or folder for validation, with --train; may be repeated")  # fmt: skip
    add("--val-photos", type=Path, metavar="DIR",
        help="folder of the photos of --val (default: that of --photos)")  # fmt: skip
    add("--output", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--format", choices=list(FORMATS), help="of all sources (default: found by itself)")
    add("--vocabulary", default=conf_file("vocabulary.yaml"), metavar="FILE",
        help="names the categories in order (default: %(default)s)")  # fmt: skip
    add("--rename", action="append", default=[], metavar="OLD=NEW",
        help="OLD in the annotations is NEW in the vocabulary; may be repeated")  # fmt: skip
    add("--ignore-category", action="append", default=[], metavar="NAME",
        help="pass over annotations of this name; may be repeated")  # fmt: skip
    add("--label-attribute", metavar="KEY",
        help="VIA: region attribute with the category (default: found by itself)")  # fmt: skip
    add("--split-by", choices=["photo", "product"],
        help="what stays together (default: product if products are given)")  # fmt: skip
    products = parser.add_mutually_exclusive_group()
    products.add_argument("--products", type=Path, metavar="FILE",
                          help="CSV with the columns path (as in --photos) and product_id")
    products.add_argument("--product-pattern", metavar="REGEX",
                          help="its one group, searched in a photo's path, is the product")
    add("--val-share", type=float, default=Splitting.val_share, metavar="SHARE",
        help="share of the photos for validation (default: %(default)s)")  # fmt: skip
    add("--seed", type=int, default=Splitting.seed, metavar="S",
        help="which photos these are (default: %(default)s)")  # fmt: skip
    add("--drop-faulty", action="store_true", help="leave out what has a fault, write the rest")
    add("--unlisted-as-negatives", action="store_true",
        help="photos of the folder that no file lists show no garment")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    log = FaultLog()
    try:
        request = make_request(options)
        make_folder(options.output)
        try:
            imported = import_annotations(request, log)
        finally:
            log.write(options.output / "faults.csv")
            tell_faults(log, options.output)
        if imported is None:
            print(f"import_annotations: {len(log.faults)} faults, no dataset is written; mend "
                  "them, or give --drop-faulty to go on without", file=sys.stderr)  # fmt: skip
            return EXIT_USAGE
        summary = write_dataset(options.output, imported, request, log)
        write_overview(options.output / "overview.png", imported.photos, request.names.categories)
    except UsageError as error:
        print(f"import_annotations: {error}", file=sys.stderr)
        return EXIT_USAGE
    except OSError as error:
        print(f"import_annotations: {error.filename or options.output}: {error.strerror}; wanted "
              "a folder to write to, with room", file=sys.stderr)  # fmt: skip
        return EXIT_USAGE
    tell(summary, options)
    return EXIT_OK


def make_request(options: argparse.Namespace) -> Request:
    """Raises `ConfigError` for options that do not go together."""
    given = bool(options.train or options.val)
    if given == bool(options.annotations) or bool(options.train) != bool(options.val):
        raise ConfigError("wanted either --annotations, or both --train and --val")
    if options.val_photos and not given:
        raise ConfigError("--val-photos goes with --val")
    if not 0 < options.val_share < 1:
        raise ConfigError(f"--val-share: got {options.val_share}, wanted a share between 0 and 1")
    has_products = bool(options.products or options.product_pattern)
    by_product = options.split_by == "product" or (options.split_by is None and has_products)
    if by_product and not has_products:
        raise ConfigError("--split-by product: give --products or --product-pattern, too")
    categories = load_vocabulary(options.vocabulary).categories
    photos, val_photos = options.photos, options.val_photos or options.photos
    return Request(
        sources=[Source(path, photos) for path in options.annotations]
        + [Source(path, photos, "train") for path in options.train]
        + [Source(path, val_photos, "val") for path in options.val],
        names=parse_names(categories, options.rename, options.ignore_category),
        format=options.format,
        label_attribute=options.label_attribute,
        products=find_products(options.products, options.product_pattern),
        splitting=Splitting(by_product, options.val_share, options.seed),
        drop_faulty=options.drop_faulty,
        unlisted_as_negatives=options.unlisted_as_negatives,
    )


def make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--output {output}: cannot be made ({error.strerror})") from None


def tell_faults(log: FaultLog, output: Path) -> None:
    for fault in log.faults[:LINES]:
        print(f"fault: {fault}", file=sys.stderr)
    if len(log.faults) > LINES:
        print(f"... and {len(log.faults) - LINES} more in {output / 'faults.csv'}", file=sys.stderr)
    for code, count in log.counts().items():
        print(f"{count:>7} {code}: {FAULTS[code]}", file=sys.stderr)


def tell(summary: dict[str, Any], options: argparse.Namespace) -> None:
    """What was written, and the command that trains on it."""
    for split in SPLITS:
        counts = summary["splits"][split]
        by_category = ", ".join(f"{n} {name}" for name, n in counts["by_category"].items() if n)
        print(f"{split}: {counts['photos']} photos, {counts['negatives']} of them negatives; "
              f"{counts['annotations']} annotations: {by_category or 'none'}")  # fmt: skip
    left_out = summary["left_out"]
    if left_out["photos"] or left_out["annotations"]:
        print(f"left out: {left_out['photos']} photos, {left_out['annotations']} annotations")
    if summary["unlisted_photos"] and not options.unlisted_as_negatives:
        print(f"{summary['unlisted_photos']} photos of the folder are in no annotation file and "
              "not in the dataset; --unlisted-as-negatives takes them as photos without garment")
    print(f"wrote {options.output}: instances_train.json, instances_val.json, summary.json, "
          "faults.csv, overview.png (look at it)")  # fmt: skip
    command = [
        "python", "jobs/train_detector.py", "--photos", options.photos,
        "--annotations", options.output / "instances_train.json",
        "--val-photos", options.val_photos or options.photos,
        "--val-annotations", options.output / "instances_val.json", "--output", "runs/detector",
    ]  # fmt: skip
    print("next: " + shlex.join(map(str, command)))


if __name__ == "__main__":
    sys.exit(main())

"""Write or refresh product_images, the table that tag_catalog.py reads, from image files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table as TextTable

from jeans_udf.errors import EXIT_OK, EXIT_USAGE, UsageError
from jeans_udf.ingest import Ingested, Reading, ingest
from jeans_udf.listing import Files, list_folder, read_listing
from jeans_udf.session import build_session, stop_session
from jeans_udf.table_names import parse_table

MORE = """\
A run makes one commit, and none when nothing differs. Bytes are compared by their SHA-256.

--images takes every file below the folder whose name ends like an image's (.jpg, .png, .gif, ...),
whatever its bytes are: what cannot be tagged is reported by name later. image_id is the path
relative to the folder; product_id its first folder, or the file's name without its ending.
--listing takes the files that a table names. Columns: path (relative to the listing), and if
wanted image_id, product_id, title, description. Only files below the listing's folder or --root
are read; a row whose file is missing, elsewhere or over --max-bytes keeps its path only.

examples:
  python jobs/ingest_images.py --images photos --table build/tables/product_images --mirror
  python jobs/ingest_images.py --listing feed/products.csv --table shop.product_images

exit codes: 0 fine; 1 failed, run the same command again; 2 bad folder, listing or table
"""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ingest_images.py",
        description=__doc__,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    files = parser.add_mutually_exclusive_group(required=True)
    files.add_argument("--images", type=Path, metavar="DIR", help="folder with image files")
    files.add_argument("--listing", type=Path, metavar="FILE", help=".csv or .parquet with paths")
    add("--table", required=True, metavar="TABLE", help="directory (with a slash) or name")
    add("--mirror", action="store_true", help="also delete the rows of files that are gone")
    add("--keep-paths", action="store_true",
        help="store paths, no bytes; tag_catalog.py then needs images.roots")  # fmt: skip
    add("--root", type=Path, action="append", default=[], metavar="DIR",
        help="further folder that a listing may read from; may be repeated")  # fmt: skip
    add("--max-bytes", type=int, default=Reading.max_bytes, metavar="N",
        help="largest file whose bytes are stored (default: %(default)s)")  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        found = list_folder(options.images) if options.images else read_listing(
            options.listing, options.root
        )  # fmt: skip
        table = parse_table(options.table)
        spark = build_session("ingest_images")
        try:
            reading = Reading(not options.keep_paths, options.max_bytes)
            done = ingest(spark, table, found.files, reading, mirror=options.mirror)
        finally:
            stop_session(spark)
    except UsageError as error:
        print(f"ingest_images: {error}", file=sys.stderr)
        return EXIT_USAGE
    console = Console()
    console.print(f"{table}, version {done.version}", soft_wrap=True, markup=False)
    console.print(summary(found, done))
    return EXIT_OK


def summary(found: Files, done: Ingested) -> TextTable:
    text = TextTable()
    text.add_column("images")
    text.add_column("", justify="right")
    for name in ("inserted", "updated", "deleted", "unchanged"):
        text.add_row(name, f"{getattr(done, name):,}")
    for notice, count in found.notices.most_common():
        text.add_row(escape(f"note: {notice}"), f"{count:,}")
    return text


if __name__ == "__main__":
    sys.exit(main())

"""Tag a small catalog from end to end: what ``make run`` does.

Draws product pictures (or takes yours), writes them to a Delta table, tags it with the default
model bundle, shows what was found and writes one HTML page. Again: only what changed is tagged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import SparkSession
from rich.console import Console

import jeans_udf.drawing
from jeans_udf.bundle import Bundle, open_bundle
from jeans_udf.config import TaggingConfig, load_config
from jeans_udf.drawing import draw_catalog
from jeans_udf.errors import TableError, carried_out
from jeans_udf.ingest import Ingested, Reading, ingest
from jeans_udf.listing import SourceFile, list_folder, read_listing
from jeans_udf.report.console import Steps, text_table
from jeans_udf.report.page import plain_text, write_page
from jeans_udf.report.read import ReportOptions, read_report
from jeans_udf.runs import Run
from jeans_udf.session import build_session, stop_session
from jeans_udf.table_names import Output, Table, parse_output, parse_table
from jeans_udf.tagging import run_tagging
from jeans_udf.views.publishing import create_views, garments_of
from jeans_udf.vocabulary import Vocabulary

COUNT, SEED = 72, 7  # of the drawn catalog
CHANGES = ("inserted", "updated", "deleted", "unchanged")
PRODUCTS_SHOWN = 12
REJECTED_SHOWN = 15
OWN_WORK, DRAWN_WORK = Path("build/my-images"), Path("build/demo")
EXAMPLES = """\
examples:
  demo.py                          the drawn catalog, into build/demo
  demo.py --images ~/pictures      your own pictures, into build/my-images
  demo.py --set detection.score_threshold=0.5

exit codes: those of tag_catalog.py
"""


@dataclass(frozen=True)
class Done:
    """What a demo wrote."""

    page: Path
    source: Table
    output: Output
    ingested: Ingested
    run: Run


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    return carried_out("demo", lambda: demo(options))


def demo(options: argparse.Namespace) -> int:
    work = options.work or (OWN_WORK if options.images else DRAWN_WORK)
    steps = Steps(Console(), 6)
    check(options.images, options.set)
    with steps.step("Start Spark") as said:
        spark = build_session("demo")
        said.append(f"Spark {spark.version}, {spark.sparkContext.master}")
    try:
        done = run_demo(spark, work, options.images, options.set, steps)
    finally:
        stop_session(spark)
    show_next(done, steps, options.images)
    assert done.run.exit_code is not None
    return done.run.exit_code


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--images", type=Path, metavar="DIR", help="your own pictures instead of drawn ones")
    add("--work", type=Path, metavar="DIR",
        help=f"where all goes (default: {DRAWN_WORK}; with --images: {OWN_WORK})")  # fmt: skip
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="as in tag_catalog.py")
    return parser


def check(images: Path | None, overrides: Sequence[str]) -> None:
    """Raise `UsageError` for what can be known to be wrong before Spark starts."""
    open_bundle(load_config(None, overrides).bundle)
    if images is not None:
        own_pictures(images)


def run_demo(
    spark: SparkSession,
    work: Path,
    images: Path | None = None,
    overrides: Sequence[str] = (),
    steps: Steps | None = None,
) -> Done:
    """Draw (or list), ingest, tag, show, report; everything below ``work``."""
    steps = steps or Steps(Console(), 5)
    config = load_config(None, overrides)
    bundle = open_bundle(config.bundle)
    work = work.absolute()
    source, output = parse_table(f"{work}/tables/product_images"), parse_output(f"{work}/tables")
    files = pictures(work, images, steps)
    with steps.step("Write the pictures to product_images") as said:
        # The table mirrors the folder: pictures of an earlier run that are gone leave it.
        reading = Reading(max_bytes=config.images.max_bytes)
        ingested = ingest(spark, source, files, reading, mirror=True)
        counts = ((name, getattr(ingested, name)) for name in CHANGES)
        said += [f"{count:,} {name}" for name, count in counts if count]
    run = tag(spark, source, output, bundle, config, steps)
    show(spark, output, bundle.vocabulary, steps)
    with steps.step("Write the page") as said:
        title = "Demo catalog" if images is None else images.resolve().name
        report = read_report(spark, source, output, config.images, ReportOptions(title))
        page = write_page(report, work / "report.html")
        said.append(f"{page.stat().st_size / 1e6:.1f} MB")
    return Done(page, source, output, ingested, run)


def pictures(work: Path, images: Path | None, steps: Steps) -> Sequence[SourceFile]:
    """The files to ingest: the user's, or those of the drawn catalog."""
    if images is not None:
        with steps.step(f"List the pictures in {plain_text(images)}") as said:
            files = own_pictures(images)
            said.append(f"{len(files):,} files")
        return files
    with steps.step(f"Draw a catalog of {COUNT} files, some of them broken on purpose") as said:
        folder = work / "catalog"
        said.append("drawn" if draw_once(folder, COUNT, SEED) else "it is there already")
        return read_listing(folder / "products.csv").files


def own_pictures(images: Path) -> Sequence[SourceFile]:
    """The files of a folder; raises `TableError` where there are none."""
    files = list_folder(images).files
    if not files:
        raise TableError(
            f"--images {images}: no file there has a name like a picture's (.jpg, .png, .webp, …); "
            "give the folder with the pictures"
        )
    return files


def draw_once(folder: Path, count: int, seed: int) -> bool:
    """Draw the catalog unless the same code has drawn the same one; whether it was drawn."""
    code = sorted(Path(jeans_udf.drawing.__file__).parent.glob("*.py"))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in code)).hexdigest()
    wanted = json.dumps({"count": count, "seed": seed, "code": digest})
    mark = folder / ".drawn"
    if mark.is_file() and mark.read_text() == wanted:
        return False
    if folder.exists() and not mark.is_file():
        raise TableError(f"{folder}: holds files that the demo did not draw; give another --work")
    # Beside it first: a demo stopped while drawing leaves no half catalog.
    draft, old = (folder.with_name(f"{folder.name}.{end}") for end in ("part", "old"))
    for leftover in (draft, old):
        shutil.rmtree(leftover, ignore_errors=True)
    draw_catalog(draft, count, seed)
    (draft / mark.name).write_text(wanted)
    if folder.exists():
        folder.replace(old)
    draft.replace(folder)
    shutil.rmtree(old, ignore_errors=True)
    return True


def tag(
    spark: SparkSession, source: Table, output: Output, bundle: Bundle, config: TaggingConfig,
    steps: Steps,
) -> Run:  # fmt: skip
    """What tag_catalog.py does, as a step."""
    with steps.step(f"Tag them with {bundle.model_version}", spinner=False) as said:
        run = run_tagging(spark, source, output, bundle, config)
        if run.images:
            said += [f"{run.images:,} images", f"{run.garments:,} garments"]
            said += [f"{count:,} {name}" for name, count in sorted(run.statuses.items())]
            said.append(f"{run.images_per_second or 0:.1f} images/s")
        else:
            said.append("nothing changed since the last run, so no model ran")
    return run


def show(spark: SparkSession, output: Output, vocabulary: Vocabulary, steps: Steps) -> None:
    """Print some rows of the views."""
    with steps.step("Ask the tables"):
        create_views(spark, output, garments_of(spark, output))
        groups = [group.name for group in vocabulary.groups]
        tagged = spark.table("product_attributes").where("category IS NOT NULL")
        columns = ["product_id", "category", *groups, "score"]
        products = tagged.select(*columns).orderBy("product_id").limit(PRODUCTS_SHOWN).collect()
        rejected = spark.table("rejected_images").select("reason", "detail", "image_id")
        broken = rejected.orderBy("reason", "image_id").limit(REJECTED_SHOWN).collect()
        tables = [
            text_table("product_attributes", columns, products, tagged.count()),
            text_table("rejected_images", rejected.columns, broken, rejected.count()),
        ]
    for table in tables:
        steps.console.print("", table)


def show_next(done: Done, steps: Steps, images: Path | None) -> None:
    """Where everything is, and what to try."""
    own = f" IMAGES={shlex.quote(str(images))}" if images else ""
    names = "product_images, image_status, garments, garment_crops, tagging_runs, …"
    lines = [
        ("The page", str(done.page)),
        ("Tables", f"{done.output.text}/ {names}"),
        ("Views", "views.sql there; python jobs/publish_views.py --help says what each holds"),
        ("Again", f"make run{own}    changes nothing and runs no model, unless a picture changed"),
        ("Yours", "make run IMAGES=/path/to/pictures"),
        ("In SQL", "queries for Spark and DuckDB are on the page"),
    ]
    steps.finish(lines)


if __name__ == "__main__":
    sys.exit(main())

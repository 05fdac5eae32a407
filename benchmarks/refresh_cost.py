"""What a refresh costs beside the full run: seconds, images through the models, bytes rewritten.

    python benchmarks/refresh_cost.py photos --images DIR --count 2000
    python benchmarks/refresh_cost.py rows --count 100000 --count 1000000

``photos`` repeats a folder's photos (with bytes of their own) up to ``--count`` and runs the job
on them as a user would, one process a run. ``rows`` is about the tables alone: tiny images, and in
place of the models a stub of SQL expressions, all in one Spark session.

Runs: the first one; one with nothing new; ``--changed`` of the images with new bytes, spread over
the whole catalog; the same share next to one another by key; as many with another product only.
Bytes are those of the files that a run added to a table, by Delta's log.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jeans_udf import tables
from jeans_udf.config import TaggingConfig
from jeans_udf.runs import Run
from jeans_udf.schemas import PRODUCT_IMAGES, staged_schema
from jeans_udf.session import build_session
from jeans_udf.sources import open_source
from jeans_udf.table_names import parse_output, parse_table
from jeans_udf.tagging import carry_out
from jeans_udf.vocabulary import Vocabulary, parse_vocabulary

TABLES = ("image_status", "garments", "garment_crops", "image_detections")
ROWS_A_FILE = {"photos": 250, "rows": 50_000}
"""Images in one file of the source."""


@dataclass
class Place:
    """A benchmark's source and output."""

    folder: Path
    count: int

    @property
    def source(self) -> str:
        return f"{self.folder}/source/product_images"

    @property
    def output(self) -> str:
        return f"{self.folder}/tags"


def put_source(spark: SparkSession, place: Place, pictures: DataFrame, rows_a_file: int) -> None:
    """A Delta source with its change feed on, the keys spread over its files in their order."""
    table = parse_table(place.source)
    tables.ensure_table(spark, table, PRODUCT_IMAGES, "images", hint="")
    absent = [f for f in PRODUCT_IMAGES if f.name not in pictures.columns]
    pictures = pictures.withColumns({f.name: F.lit(None).cast(f.dataType) for f in absent})
    files = max(1, -(-place.count // rows_a_file))
    ordered = pictures.repartitionByRange(files, "image_id")
    tables.append(ordered.select(*PRODUCT_IMAGES.names), table)


def photos_of(spark: SparkSession, images: Path, count: int) -> DataFrame:
    """``count`` photos: the folder's, again and again, each time with other bytes at the end."""
    files = spark.read.format("binaryFile").load(str(images)).select("path", "content")
    known = files.count()
    again = spark.range(-(-count // known)).withColumnRenamed("id", "round")
    name = F.element_at(F.split("path", "/"), -1)
    image_id = F.concat(F.format_string("%04d-", F.col("round")), name)
    pictures = files.crossJoin(F.broadcast(again)).select(
        image_id.alias("image_id"),
        F.format_string("p%d", F.pmod(F.xxhash64("path"), F.lit(500))).alias("product_id"),
        # Readers of JPEG and PNG stop before what follows the picture.
        F.concat("content", image_id.cast("binary")).alias("image"),
    )
    return pictures.orderBy("image_id").limit(count)


def rows_of(spark: SparkSession, count: int) -> DataFrame:
    """``count`` images of a few bytes."""
    image_id = F.format_string("image-%09d", F.col("id"))
    return spark.range(count).select(
        image_id.alias("image_id"),
        F.format_string("p%d", F.col("id") % 1000).alias("product_id"),
        F.concat(F.lit("pixels of "), image_id).cast("binary").alias("image"),
    )


def changes(spark: SparkSession, place: Place, changed: float) -> dict[str, str]:
    """SQL that changes the source, by the name of the run after it."""
    every = round(1 / changed)
    table = parse_table(place.source)
    keys = tables.read_table(spark, table).select("image_id").orderBy("image_id")
    last = keys.limit(max(1, place.count // every)).agg(F.max("image_id")).collect()[0][0]
    spread = f"pmod(xxhash64(image_id), {every}) = 7"
    return {
        "spread": f"UPDATE {table.sql} SET image = concat(image, X'00') WHERE {spread}",
        "neighbours": f"UPDATE {table.sql} SET image = concat(image, X'01') "
        f"WHERE image_id <= '{last}'",
        "metadata": f"UPDATE {table.sql} SET product_id = 'other' WHERE {spread}",
    }


def sizes(place: Place) -> dict[str, tuple[int, int]]:
    """(version, bytes) of each table."""
    found = {}
    for name in TABLES:
        table = DeltaTable(f"{place.output}/{name}")
        actions = pa.table(table.get_add_actions(flatten=True))
        found[name] = (table.version(), sum(actions["size_bytes"].to_pylist()))
    return found


def bytes_added(place: Place, since: dict[str, int]) -> dict[str, int]:
    """Bytes of the data files that each table's versions after ``since`` have added."""
    added = {}
    for name in TABLES:
        total, newest = 0, DeltaTable(f"{place.output}/{name}").version()
        for version in range(since.get(name, -1) + 1, newest + 1):
            log = Path(place.output, name, "_delta_log", f"{version:020}.json")
            actions = [json.loads(line) for line in log.read_text().splitlines()]
            total += sum(action["add"]["size"] for action in actions if "add" in action)
        added[name] = total
    return added


def run_job(place: Place) -> None:
    """The job in a process of its own, as a scheduler starts it."""
    subprocess.run(
        [sys.executable, str(Path(__file__).parents[1] / "jobs/tag_catalog.py"), "--source",
         place.source, "--output", place.output],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


VOCABULARY = parse_vocabulary(
    {
        "categories": ["jeans"],
        "groups": {"wash": {"exclusive": True, "labels": ["dark", "light"]}},
    },
    where="the benchmark",
)


def stub_tag(images: DataFrame, vocabulary: Vocabulary) -> DataFrame:
    """In place of the models: one garment an image, made of its hash by SQL."""
    sha256 = F.sha2("image", 256)
    garment = {
        "garment_id": F.substring(F.sha2(F.concat("image_id", sha256), 256), 1, 32),
        "garment_no": F.lit(0), "category": F.lit("jeans"), "score": F.lit(0.9),
        "wash": F.when(F.substring(sha256, 1, 1) < "8", "dark").otherwise("light"),
        "wash_score": F.lit(0.8), "crop": F.unhex(sha256),
    }  # fmt: skip
    values = {
        "image_sha256": sha256, "status": F.lit("tagged"), "width": F.lit(40),
        "height": F.lit(60), "garments": F.lit(1), "tagged_at": F.current_timestamp(),
    }  # fmt: skip
    schema = staged_schema(vocabulary)
    element = schema["found"].dataType.elementType
    found = F.array(F.struct(*[
        garment.get(f.name, F.lit(None)).cast(f.dataType).alias(f.name) for f in element
    ]))  # fmt: skip
    values |= {"found": found, "detections": F.array()}
    columns = {f.name: values.get(f.name, F.lit(None)) for f in schema}
    columns |= {name: F.col(name) for name in ("image_id", "product_id")}
    return images.select(*[columns[f.name].cast(f.dataType).alias(f.name) for f in schema])


def run_stub(spark: SparkSession, place: Place) -> None:
    """The run with the stub, in this session."""
    run = Run(place.source, "stub", "sha", TaggingConfig())
    carry_out(
        spark, open_source(spark, parse_table(place.source)), parse_output(place.output), run,
        partial(stub_tag, vocabulary=VOCABULARY), VOCABULARY,
    )  # fmt: skip


def measure(
    spark: SparkSession, place: Place, name: str, run: Callable[[], None]
) -> dict[str, object]:
    """One run: its seconds, and what it did by the log of runs and the tables' logs."""
    there = Path(place.output, "image_status").exists()
    before = {key: version for key, (version, _) in sizes(place).items()} if there else {}
    start = time.monotonic()
    run()
    seconds = time.monotonic() - start
    log = tables.read_table(spark, parse_table(f"{place.output}/tagging_runs"))
    row = log.orderBy(F.col("run_no").desc()).first()
    assert row is not None
    return {
        "run": name, "seconds": round(seconds, 1), "without_start_up": round(row.wall_seconds, 1),
        "images": row.images, "garments": row.garments,
        "bytes_added": bytes_added(place, before),
        "bytes_in_table": {key: size for key, (_, size) in sizes(place).items()},
    }  # fmt: skip


def show(row: dict[str, object]) -> None:
    added, held = row["bytes_added"], row["bytes_in_table"]
    assert isinstance(added, dict) and isinstance(held, dict)
    told = ", ".join(f"{k} {added[k] / 1e6:.1f} of {held[k] / 1e6:.1f}" for k in added)
    seconds = f"{row['seconds']} s ({row['without_start_up']} s without start-up)"
    print(f"{row['run']:>12}: {seconds}, {row['images']} images; MB written: {told}", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("photos", "rows"))
    parser.add_argument("--images", type=Path, help="folder of photos")
    parser.add_argument("--count", type=int, action="append", help="images; may be given again")
    parser.add_argument("--changed", type=float, default=0.01)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--folder", type=Path, help="for the tables (default: a temporary one)")
    args = parser.parse_args()
    if args.what == "photos" and args.images is None:
        parser.error("--images DIR says which photos")
    return args


def main() -> int:
    args = parse_arguments()
    spark = build_session("refresh_cost")
    rows = []
    for count in args.count or [2000]:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            place = Place(Path(folder), count)
            print(f"{count} images", flush=True)
            if args.what == "photos":
                pictures, run = photos_of(spark, args.images, count), partial(run_job, place)
            else:
                pictures, run = rows_of(spark, count), partial(run_stub, spark, place)
            put_source(spark, place, pictures, ROWS_A_FILE[args.what])
            steps: dict[str, str | None] = {"first": None, "nothing new": None}
            steps |= changes(spark, place, args.changed)
            for name, sql in steps.items():
                if sql:
                    spark.sql(sql)
                rows.append({"count": count, **measure(spark, place, name, run)})
                show(rows[-1])
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())

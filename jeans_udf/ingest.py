"""Writes and refreshes product_images from files, in one commit, and none if nothing differs."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf import tables
from jeans_udf.errors import JeansError, TableError
from jeans_udf.listing import SourceFile
from jeans_udf.schemas import PRODUCT_IMAGES
from jeans_udf.table_names import Table

COMMENT = "One row per product image: its bytes, or the path of its file"
HINT = "product_images is written by this job alone; give another --table"

PART_BYTES = 64_000_000
PART_FILES = 5_000
"""Bounds of one file of the table: what a task reads here, and later the grain of a batch."""

FRAME_BYTES = 16_000_000
"""Bytes of images that a worker holds before it hands them to Spark."""

WRITE_SETTINGS = {
    # Spark reads a row group at a time, and gives each to one task: groups of few images keep the
    # readers' memory small and the tasks even.
    "parquet.block.size": "2097152",
    "parquet.page.size.row.check.min": "1",
    "parquet.page.size.row.check.max": "16",
}

_FILE = T.StructType(
    [
        T.StructField("image_id", T.StringType()),
        T.StructField("product_id", T.StringType()),
        T.StructField("path", T.StringType()),
        T.StructField("size", T.LongType()),
        T.StructField("updated_at", T.TimestampType()),
        T.StructField("title", T.StringType()),
        T.StructField("description", T.StringType()),
    ]
)
assert _FILE.names == [field.name for field in fields(SourceFile)]

_METADATA = [*(name for name in PRODUCT_IMAGES.names if name not in ("image", "path")), "path"]
_DIGESTS = T.StructType(
    [PRODUCT_IMAGES[name] for name in _METADATA] + [T.StructField("sha256", T.StringType())]
)


@dataclass(frozen=True)
class Reading:
    """``with_bytes`` False: only paths are kept; files over ``max_bytes`` keep theirs too."""

    with_bytes: bool = True
    max_bytes: int = 50_000_000


@dataclass(frozen=True)
class Ingested:
    """Rows by what happened to them; ``version`` is the table's afterwards."""

    inserted: int
    updated: int
    deleted: int
    unchanged: int
    version: int


def ingest(
    spark: SparkSession,
    table: Table,
    files: Sequence[SourceFile],
    reading: Reading,
    *,
    mirror: bool = False,
) -> Ingested:
    """Make the table hold ``files``; with ``mirror`` also drop the rows of all others."""
    tables.ensure_table(spark, table, PRODUCT_IMAGES, COMMENT, hint=HINT)
    if mirror and not files and not tables.read_table(spark, table).isEmpty():
        raise TableError(
            f"table {table}: --mirror found no image at all and would delete every row; check the "
            "folder, or drop the table if that is meant"
        )
    changes = compare(spark, table, files, reading, mirror=mirror)
    counts = Counter(changes.values())
    wanted = [file for file in files if changes.get(file.image_id) in ("insert", "update")]
    gone = [image_id for image_id, change in changes.items() if change == "delete"]
    with tables.settings(spark, WRITE_SETTINGS):
        if counts["update"] or gone:
            _merge(spark, table, wanted, gone, reading)
        elif wanted:
            tables.append(load_files(spark, wanted, reading), table)
    return Ingested(
        inserted=counts["insert"],
        updated=counts["update"],
        deleted=len(gone),
        unchanged=len(files) - len(wanted),
        version=tables.table_version(spark, table),
    )


def compare(
    spark: SparkSession,
    table: Table,
    files: Sequence[SourceFile],
    reading: Reading,
    *,
    mirror: bool,
) -> dict[str, str]:
    """insert, update or delete by image_id; ids that stay as they are do not stand there."""
    present = tables.read_table(spark, table).select(
        *_METADATA, F.sha2("image", 256).alias("sha256")
    )
    if present.isEmpty():
        return {file.image_id: "insert" for file in files}
    found = digest_files(spark, files, reading)
    same = F.lit(True)
    for name in ("product_id", "title", "description", "path", "sha256"):
        same &= F.col(f"f.{name}").eqNullSafe(F.col(f"p.{name}"))
    # Bytes tell by themselves whether they changed; of a path only the file's time does.
    moved = F.col("f.path").isNotNull() & ~F.col("f.updated_at").eqNullSafe(F.col("p.updated_at"))
    change = (
        F.when(F.col("p.image_id").isNull(), "insert")
        .when(F.col("f.image_id").isNull(), "delete" if mirror else "keep")
        .when(same & ~moved, "keep")
        .otherwise("update")
    )
    both = found.alias("f").join(present.alias("p"), F.expr("f.image_id = p.image_id"), "full")
    image_id = F.coalesce("f.image_id", "p.image_id")
    changed = both.select(image_id.alias("image_id"), change.alias("change"))
    return {row.image_id: row.change for row in changed.where("change <> 'keep'").collect()}


def load_files(
    spark: SparkSession, files: Sequence[SourceFile], reading: Reading
) -> DataFrame:
    """Rows of product_images, bytes included, read on the executors."""

    def load(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        yield from _frames(frames, reading, PRODUCT_IMAGES.names)

    return _file_rows(spark, files).mapInPandas(load, PRODUCT_IMAGES)


def digest_files(spark: SparkSession, files: Sequence[SourceFile], reading: Reading) -> DataFrame:
    """The same rows with the hex SHA-256 of their bytes in place of the bytes."""

    def digest(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in _frames(frames, reading, PRODUCT_IMAGES.names):
            frame["sha256"] = [
                None if data is None else hashlib.sha256(data).hexdigest() for data in frame.image
            ]
            yield frame[_DIGESTS.names]

    return _file_rows(spark, files).mapInPandas(digest, _DIGESTS)


def _merge(
    spark: SparkSession,
    table: Table,
    wanted: Sequence[SourceFile],
    gone: Sequence[str],
    reading: Reading,
) -> None:
    ids = spark.createDataFrame([(image_id,) for image_id in gone], "image_id string")
    rows = load_files(spark, wanted, reading).withColumn("_gone", F.lit(False))
    rows = rows.unionByName(ids.withColumn("_gone", F.lit(True)), allowMissingColumns=True)
    columns = {name: f"s.{name}" for name in PRODUCT_IMAGES.names}
    merge = (
        tables.merge_into(table, rows, "t.image_id = s.image_id")
        .whenMatchedDelete("s._gone")
        .whenMatchedUpdate(set=columns)
        .whenNotMatchedInsert("NOT s._gone", values=columns)
    )
    merge.execute()


def _file_rows(spark: SparkSession, files: Sequence[SourceFile]) -> DataFrame:
    """One partition, later one file of the table, for about `PART_BYTES` of files."""
    parts = [([astuple(file) for file in part],) for part in _parts(files)]
    schema = T.StructType([T.StructField("files", T.ArrayType(_FILE))])
    rdd = spark.sparkContext.parallelize(parts, max(1, len(parts)))
    return spark.createDataFrame(rdd, schema, verifySchema=False).select(F.inline("files"))


def _parts(files: Iterable[SourceFile]) -> Iterator[list[SourceFile]]:
    part: list[SourceFile] = []
    size = 0
    for file in files:
        if part and (size + (file.size or 0) > PART_BYTES or len(part) >= PART_FILES):
            yield part
            part, size = [], 0
        part.append(file)
        size += file.size or 0
    if part:
        yield part


def _frames(
    frames: Iterable[pd.DataFrame], reading: Reading, columns: Sequence[str]
) -> Iterator[pd.DataFrame]:
    """Frames of at most about `FRAME_BYTES` of images, whatever Spark's batches hold."""
    for frame in frames:
        rows: list[dict[str, object]] = []
        waiting = 0
        for row in frame.to_dict("records"):
            readable = reading.with_bytes and pd.notna(row["size"])
            data = _read(row["path"], reading.max_bytes) if readable else None
            # One of the two is set; a file that cannot be read keeps its path, to be rejected.
            row |= {"image": data, "path": row["path"] if data is None else None}
            rows.append(row)
            waiting += len(data or b"")
            if waiting >= FRAME_BYTES:
                yield pd.DataFrame(rows, columns=list(columns))
                rows, waiting = [], 0
        if rows:
            yield pd.DataFrame(rows, columns=list(columns))


def _read(path: str, max_bytes: int) -> bytes | None:
    """The file's bytes; None where it is no file any more, or too large.

    Raises `JeansError` for one that the driver can read and this machine cannot: a row without
    bytes would take the place of one with them.
    """
    try:
        # Not blocking: the name may have become a pipe since it was listed.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            data = file.read(max_bytes + 1)
    except OSError as error:
        # Gone since it was listed: its folder is still there.
        if isinstance(error, FileNotFoundError) and os.path.isdir(os.path.dirname(path)):
            return None
        raise JeansError(
            f"{path}: {socket.gethostname()} cannot read it ({error.strerror}), the driver can; "
            "executors need the same folder at the same path, and nothing was written"
        ) from None
    return None if len(data) > max_bytes else data

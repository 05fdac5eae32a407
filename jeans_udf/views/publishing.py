"""The analysts' views: SQL files, filled in with the output's tables and the attribute groups."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf import folders, tables
from jeans_udf.errors import JeansError, TableError
from jeans_udf.table_names import Output, parse_output
from jeans_udf.views.columns import commented, view_columns
from jeans_udf.views.fragments import fragments
from jeans_udf.views.literals import shared_masks, sql_text

SQL = Path(__file__).parent
VIEWS = (
    "reviewed_garments", "product_attributes", "rejected_images", "attribute_coverage",
    "low_confidence", "attribute_trends", "garments_with_crops", "near_duplicate_images",
    "ignored_overrides",
)  # fmt: skip
"""In the order of their making: some read others. ``model_diff`` is made when it is asked for."""
TABLES = (
    "image_status", "garments", "garment_crops", "tagging_runs", "image_detections",
    "attribute_overrides",
)  # fmt: skip
FILE, MARK = "views.sql", "_views"
MOST_BITS = 4
"""Of near-duplicates. As 32 of a hash's bits are set, two mostly differ in an even number: of drawn
pictures' copies, down to a quarter of the side and to JPEG quality 30, 92 % in 0 or 2 and 99.5 % in
at most 4; of different ones the nearest in 10."""
GONE = re.compile(
    r"\b(?:PATH|TABLE_OR_VIEW|SCHEMA|DELTA_TABLE|DELTA_VERSION)_NOT_FOUND\b|FILE_NOT_EXIST\b"
    r"|FileNotFoundException\b|DELTA_PATH_DOES_NOT_EXIST\b|BEYOND_DELETED_FILE_RETENTION"
    r"|Cannot time travel Delta table to version"  # Delta 4.0, without a code
)
"""What Spark, Delta and Hadoop say of a table, version or file that is not there any more."""

HEAD = """\
-- Views on the tables of this directory, for Spark SQL with Delta:
--   spark-sql --packages io.delta:delta-spark_4.2_2.13:4.4.0 \\
--     --conf spark.sql.extensions=io.delta.sql.DeltaSparkSessionExtension \\
--     --conf spark.sql.catalog.spark_catalog=org.apache.spark.sql.delta.catalog.DeltaCatalog \\
--     -i views.sql
"""


@dataclass(frozen=True)
class Before:
    """The side that ``model_diff`` compares with: another output, or this one as it was."""

    output: Output
    versions: dict[str, int] | None = None
    """Delta versions of image_status and garments; None: the present."""
    told: str = ""
    """Which side that is, in words."""
    garments: T.StructType | None = None
    """Schema of its garments; None: as that of the side after."""

    def table(self, name: str) -> str:
        """How SQL names a table of it."""
        name_in_sql = self.output.table(name).sql
        if self.versions is None:
            return name_in_sql
        return f"{name_in_sql} VERSION AS OF {int(self.versions[name])}"


@dataclass(frozen=True, kw_only=True)
class Publication:
    """Which views, and where. ``into``: a schema that is to hold them; None: the output itself."""

    into: Output | None = None
    temporary: bool = False
    """Views of the session alone, whatever the output is; `create_views` makes them."""
    least_confidence: float = 0.5
    """Below it a garment stands in low_confidence."""
    before: Before | None = None
    """With it, model_diff is made too."""


PLAIN = Publication()


def view_statements(
    output: Output, garments: T.StructType, publication: Publication = PLAIN
) -> dict[str, str]:
    """A CREATE VIEW for each view; temporary ones for a directory, which has no names.

    ``garments`` is the schema of that table, comments included.
    """
    place = publication.into or output
    unnamed = publication.temporary or place.is_path
    columns = view_columns(garments)
    values = {
        "kind": "TEMPORARY " if unnamed else "",
        "least_confidence": repr(float(publication.least_confidence)),
        "most_bits": str(MOST_BITS),
        "masks": ", ".join(f"{mask}L" for mask in shared_masks(MOST_BITS)),
        **{name: output.table(name).sql for name in TABLES},
        **{name: f"`{name}`" if unnamed else place.table(name).sql for name in VIEWS},
    }
    names = list(VIEWS)
    before = publication.before
    if before is not None:
        names.append("model_diff")
        values |= {f"{name}_before": before.table(name) for name in ("image_status", "garments")}
        values["sides"] = sql_text(before.told)[1:-1]
    sql = fragments(garments, before.garments if before is not None else None)
    parts = {name: Template(text).substitute(values) for name, text in sql.items()}
    statements = {}
    for name in names:
        template = Template((SQL / f"{name}.sql").read_text(encoding="utf-8"))
        view = f"`{name}`" if unnamed else place.table(name).sql
        own = {"view": view, "columns": commented(columns.get(name, ()))}
        statements[name] = template.substitute(values | parts | own).strip()
    return statements


def create_views(
    spark: SparkSession, output: Output, garments: T.StructType, publication: Publication = PLAIN
) -> list[str]:
    """Create the views, those of a directory in this session alone; their names."""
    statements = view_statements(output, garments, publication)
    for statement in statements.values():
        spark.sql(statement)
    return list(statements)


def reviewed_garments(spark: SparkSession, output: Output, garments: DataFrame) -> DataFrame:
    """The view of this name, for this session alone.

    ``garments`` is that table; where the output has no attribute_overrides, nobody said anything.
    """
    if not tables.table_exists(spark, output.table("attribute_overrides")):
        return garments.withColumns({"model_score": F.col("score"), "reviewed": F.lit(False)})
    spark.sql(
        view_statements(output, garments.schema, Publication(temporary=True))["reviewed_garments"]
    )
    return spark.table("reviewed_garments")


def publish_views(
    spark: SparkSession, output: Output, garments: T.StructType, publication: Publication = PLAIN
) -> list[str]:
    """Leave the views for whoever comes: in the schema, or as a directory's ``views.sql``.

    Nothing is done where they are as they would become. Gives their names.
    """
    statements = view_statements(output, garments, publication)
    place = publication.into or output
    mark = f"{tables.work_folder(spark, place)}/{MARK}"
    told = _told(statements, publication)
    if place.is_path:
        if folders.read_text(spark, mark) != told:
            folders.write_text(spark, mark, told)
        text = HEAD + "".join(f"\n{statement};\n" for statement in statements.values())
        file = f"{place.text}/{FILE}"
        if folders.read_text(spark, file) != text:
            folders.write_text(spark, file, text)
        return list(statements)
    names = [str(place.table(name)) for name in statements]
    there = all(spark.catalog.tableExists(name) for name in names)
    if publication.before is None and "before" in (folders.read_text(spark, mark) or ""):
        spark.sql(f"DROP VIEW IF EXISTS {place.table('model_diff').sql}")
    if not there or folders.read_text(spark, mark) != told:
        create_views(spark, output, garments, publication)
        folders.write_text(spark, mark, told)
    return names


def _told(statements: dict[str, str], publication: Publication) -> str:
    """What is left beside the views: what they were made from, and how `remembered` gets it."""
    before = publication.before
    kept: dict[str, Any] = {
        "digest": hashlib.sha256("\n".join(statements.values()).encode()).hexdigest(),
        "least_confidence": publication.least_confidence,
    }
    if before is not None:
        kept["before"] = {
            "output": before.output.text, "versions": before.versions, "told": before.told
        }  # fmt: skip
    return json.dumps(kept, sort_keys=True)


def present(spark: SparkSession, before: Before) -> Before | None:
    """The side with its garments' schema; None where it cannot be read any more.

    A table, or the files of a version, may be gone, and of a version older than
    ``delta.deletedFileRetentionDuration`` Delta shows nothing. `JeansError` where it is something
    else, as of a storage that does not answer: a side that is told to be gone is not asked for
    again.
    """
    try:
        versions = before.versions or {}
        frames = {
            name: tables.read_table(spark, before.output.table(name), versions.get(name))
            for name in ("image_status", "garments")
        }
        for frame in frames.values():
            frame.limit(1).collect()
    except Exception as error:  # of Delta and of the file system, in many kinds
        if GONE.search(str(error)):
            return None
        first = " ".join(str(error).split())[:300]
        raise JeansError(
            f"model_diff: its side before, {before.output.text}, cannot be read just now "
            f"({first}); run this again, or leave that side: publish_views.py --without-diff"
        ) from error
    return replace(before, garments=frames["garments"].schema)


def remembered(spark: SparkSession, output: Output, *, with_side: bool = True) -> Publication:
    """As the views of the output were asked for when they were last published there.

    A side before that is there no more is left out: its view could not be made again. So is any
    other when not ``with_side``, which then need not be readable.
    """
    text = folders.read_text(spark, f"{tables.work_folder(spark, output)}/{MARK}")
    try:
        kept = json.loads(text or "{}")
        least, side = float(kept.get("least_confidence", 0.5)), kept.get("before")
        before = None
        if side is not None and with_side:
            before = Before(parse_output(side["output"]), side["versions"], side["told"])
            before = present(spark, before)
    except (ValueError, TypeError, AttributeError, KeyError):  # of an earlier version of ours
        return PLAIN
    return Publication(least_confidence=least, before=before)


def garments_of(spark: SparkSession, output: Output) -> T.StructType:
    """The schema of the output's garments; `TableError` where there are none."""
    table = output.table("garments")
    if not tables.table_exists(spark, table):
        raise TableError(f"table {table}: is not there; run tag_catalog.py on this output first")
    return tables.read_table(spark, table).schema

"""What a batch of the source's change feed asks for: which images to tag, relabel or delete.

Actions of an image: ``tag`` (its pixels are new to this bundle), ``relabel`` (only its product
changed), ``delete`` (it left the source), ``keep`` (nothing to do).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jeans_udf.errors import TableError
from jeans_udf.schemas import DETECTION
from jeans_udf.sources import PIXEL_COLUMNS

BROADCAST_IMAGES = 1_000_000
"""Up to so many ids a join takes them to the images; above, the images' bytes travel."""

BROADCAST_DETECTIONS = 100_000
"""The same for what was found in them before, at some kilobytes an image."""

FILE_SHA256 = "_file_sha256"
"""Column of changes whose files were read to compare them: the hash, null where unreadable."""

BYTES_OF_A_FILE = 200_000
"""What an image that is given as a path counts for, in a batch bounded by bytes."""

UNREADABLE = ("missing_file", "forbidden_path", "too_many_bytes")
"""Reasons of rows whose file gave no bytes to hash."""


@dataclass(frozen=True)
class Again:
    """What is tagged although nothing about it changed."""

    full_runs: tuple[str, ...] | None = None
    """Of a full pass: the runs that make it, the others' rows being what it replaces."""
    rejected: bool = False
    """Whether images are tried again that were rejected."""


NOTHING_AGAIN = Again()


@dataclass(frozen=True)
class Planned:
    """Images by action, the source versions they come from, and the span of their ids."""

    counts: Mapping[str, int]
    version_from: int | None
    version_to: int | None
    first_id: str | None
    last_id: str | None
    key_sum: Decimal
    """`key_sum` of the images to tag."""
    seen_before: int = 0
    """Of the images to tag: those whose pixels another bundle has looked at."""
    known: int = 0
    """Images with something to do that have a row in image_status."""

    def count(self, *actions: str) -> int:
        return sum(self.counts.get(action, 0) for action in actions)


def source_columns(frame: DataFrame) -> DataFrame:
    """The frame with both ``image`` and ``path``; the one that the source lacks is null."""
    for name, kind in PIXEL_COLUMNS.items():
        if name not in frame.columns:
            frame = frame.withColumn(name, F.lit(None).cast(kind))
    return frame


def newest_changes(changes: DataFrame, *, with_pixels: bool = True) -> DataFrame:
    """One row an image, without its bytes: how the batch leaves it.

    Within one commit a row that is there wins over one that went, since overwriting a table
    records both. ``copies`` counts the rows of the id that are there. Without ``with_pixels`` no
    picture is read, every hash is null and every image counts as changed.
    """
    if not with_pixels:
        changes = changes.withColumn("image", F.lit(None).cast("binary"))
    compared = FILE_SHA256 in changes.columns
    of_file = F.col(FILE_SHA256) if compared else F.lit(None).cast("string")
    sha256 = F.coalesce(F.sha2("image", 256), of_file)
    rows = (
        source_columns(changes)
        .where("_change_type <> 'update_preimage'")
        .select(
            "image_id",
            "_commit_version",
            (F.col("_change_type") != "delete").alias("present"),
            "product_id",
            sha256.alias("image_sha256"),
            (F.lit(with_pixels) & F.col("image").isNull() & F.col("path").isNull()).alias("blank"),
            F.coalesce(F.length("image"), F.lit(BYTES_OF_A_FILE)).cast("long").alias("bytes"),
            (F.lit(compared) & sha256.isNull() & F.col("path").isNotNull()).alias("unreadable"),
        )
    )
    state = F.struct(*rows.columns[1:])
    newest = F.max(state)
    # Rows of older commits are earlier states of the same image, not copies.
    copies = F.collect_list(F.when(F.col("present"), F.col("_commit_version")))
    last = rows.groupBy("image_id").agg(
        newest.alias("last"),
        copies.alias("versions"),
        F.min("_commit_version").alias("first_version"),
    )
    return last.select(
        "image_id",
        "last.*",
        "first_version",
        F.size(F.expr("filter(versions, v -> v = last._commit_version)")).alias("copies"),
    )


def decide_actions(
    newest: DataFrame, image_status: DataFrame, model_version: str, again: Again = NOTHING_AGAIN
) -> DataFrame:
    """``newest`` with the action of each image, given what stands in ``image_status``."""
    known = image_status.select(
        "image_id",
        F.col("product_id").alias("known_product_id"),
        F.col("image_sha256").alias("known_sha256"),
        F.col("model_version").alias("known_version"),
        F.col("reason").alias("known_reason"),
        F.col("status").alias("known_status"),
        F.col("run_id").alias("known_run_id"),
        F.lit(True).alias("known"),
    )
    same_pixels = F.col("image_sha256").eqNullSafe(F.col("known_sha256")) & (
        # A path's bytes are unknown here: a changed row of it is always looked at again.
        F.col("image_sha256").isNotNull()
        | (F.col("blank") & F.expr("known_reason = 'null_image'"))
        | (F.col("unreadable") & F.coalesce(F.col("known_reason").isin(*UNREADABLE), F.lit(False)))
    )
    done = F.coalesce(F.col("known_version") == model_version, F.lit(False)) & same_pixels
    if again.full_runs is not None:
        done &= F.coalesce(F.col("known_run_id").isin(*again.full_runs), F.lit(False))
    if again.rejected:
        done &= F.coalesce(F.col("known_status") != "rejected", F.lit(False))
    same_product = F.col("product_id").eqNullSafe(F.col("known_product_id"))
    action = (
        F.when(~F.col("present") & F.col("known"), "delete")
        .when(~F.col("present"), "keep")
        .when(done & same_product, "keep")
        .when(done, "relabel")
        .otherwise("tag")
    )
    return newest.join(known, "image_id", "left").select(
        "image_id",
        "product_id",
        "first_version",
        "_commit_version",
        "copies",
        "bytes",
        action.alias("action"),
        F.coalesce("known", F.lit(False)).alias("known"),
        F.coalesce((action == "tag") & same_pixels & (F.col("known_version") != model_version),
                   F.lit(False)).alias("seen_before"),
    )


def sum_up(plan: DataFrame) -> Planned:
    """Count the actions; raises `TableError` when the key is null or stands twice."""
    acting = F.when(F.col("action") != "keep", F.col("image_id"))
    rows = (
        plan.groupBy("action")
        .agg(
            F.count("*").alias("images"),
            F.min("first_version").alias("low"),
            F.max("_commit_version").alias("high"),
            F.min(acting).alias("first_id"),
            F.max(acting).alias("last_id"),
            key_sum().alias("key_sum"),
            F.count(F.when(F.col("seen_before"), 1)).alias("seen_before"),
            F.count(F.when(F.col("known") & (F.col("action") != "keep"), 1)).alias("known"),
            F.max(F.when((F.col("copies") > 1) | F.col("image_id").isNull(),
                         F.coalesce("image_id", F.lit("null")))).alias("bad"),
        )
        .collect()
    )
    for row in rows:
        if row.bad is not None:
            raise TableError(duplicate_text([row.bad]))
    return Planned(
        counts={row.action: row.images for row in rows},
        version_from=min((row.low for row in rows), default=None),
        version_to=max((row.high for row in rows), default=None),
        first_id=min((row.first_id for row in rows if row.first_id is not None), default=None),
        last_id=max((row.last_id for row in rows if row.last_id is not None), default=None),
        key_sum=sum((row.key_sum for row in rows if row.action == "tag"), Decimal()),
        seen_before=sum(row.seen_before for row in rows),
        known=sum(row.known for row in rows),
    )


def key_sum() -> Column:
    """Sum of the keys' hashes: equal, beside equal counts, only for the same set of images."""
    return F.sum(F.xxhash64("image_id").cast("decimal(20,0)"))


def require_key(images: DataFrame, where: str) -> None:
    """`TableError` unless ``image_id`` is a key of all the source's rows."""
    counts = images.groupBy("image_id").count().where("count > 1 OR image_id IS NULL")
    bad = [row.image_id or "null" for row in counts.limit(3).collect()]
    if bad:
        raise TableError(f"table {where}: {duplicate_text(bad)}")


def duplicate_text(ids: list[str]) -> str:
    return (
        f"image_id is null or stands in several rows, as {', '.join(map(repr, ids))}; wanted one "
        "row an image: remove the copies and run again"
    )


def images_to_tag(changes: DataFrame, plan: DataFrame, planned: Planned) -> DataFrame:
    """The rows, with bytes, of the images whose action is ``tag``."""
    keys = plan.where("action = 'tag'").select("image_id", "_commit_version")
    if planned.count("tag") <= BROADCAST_IMAGES:
        keys = F.broadcast(keys)
    rows = source_columns(changes).where("_change_type IN ('insert', 'update_postimage')")
    rows = rows.join(keys, ["image_id", "_commit_version"], "left_semi")
    return rows.select("image_id", "product_id", "image", "path")


def with_known(
    images: DataFrame,
    image_detections: DataFrame | None,
    detector: str,
    plan: DataFrame,
    planned: Planned,
) -> DataFrame:
    """``images`` with what the same detector has found in them before: ``known`` (an array of
    `schemas.DETECTION`) and the hash of the bytes that it looked at, ``known_sha256``."""
    if image_detections is None:
        none = F.lit(None)
        return images.withColumns(
            {"known": none.cast(T.ArrayType(DETECTION)), "known_sha256": none.cast("string")}
        )
    known = image_detections.where(F.col("detector") == detector).select(
        "image_id", F.col("detections").alias("known"), F.col("image_sha256").alias("known_sha256")
    )
    keys = plan.where("action = 'tag' AND seen_before").select("image_id")
    if planned.seen_before <= BROADCAST_DETECTIONS:
        known = F.broadcast(known.join(F.broadcast(keys), "image_id", "left_semi"))
    return images.join(known, "image_id", "left")

"""Where a run keeps its stream's checkpoint and its staged batches, and what goes of older ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pyspark.sql import SparkSession

from jeans_udf import folders, tables
from jeans_udf.commit import Catalog
from jeans_udf.tables import Output, Table


@dataclass(frozen=True)
class Work:
    """Folders of a run: its stream's checkpoint and its staged batches."""

    key: str
    root: str

    @property
    def checkpoint(self) -> str:
        return f"{self.root}/_checkpoints/{self.key}"

    @property
    def reconciled(self) -> str:
        """There once rows of images that left before the checkpoint began are gone."""
        return f"{self.checkpoint}/reconciled"

    @property
    def staging(self) -> str:
        return f"{self.root}/_staging"


def find_work(
    spark: SparkSession, source: Table, output: Output, catalog: Catalog, model_version: str
) -> Work:
    """A source or an output that was dropped and made anew has another id: all starts anew."""
    ids = (tables.table_id(spark, table) for table in (source, catalog.image_status))
    identity = "\0".join((str(source), *ids, model_version))
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return Work(key, tables.work_folder(spark, output))


def clean_up(spark: SparkSession, work: Work) -> bool:
    """Remove what other checkpoints and crashed runs left; whether ours starts anew.

    Only one checkpoint is kept: coming back to an earlier bundle has to look at every image
    again, since the tables hold the later one's rows.
    """
    root = f"{work.root}/_checkpoints"
    _forget_others(spark, root, keep=work.key)
    fresh = not folders.child_names(spark, f"{work.checkpoint}/stream/offsets")
    if fresh:
        # Staged batches are numbered by the checkpoint that is gone.
        folders.delete(spark, work.checkpoint)
    _forget_others(spark, work.staging, keep=None if fresh else work.key)
    return fresh


def _forget_others(spark: SparkSession, folder: str, keep: str | None) -> None:
    for name in folders.child_names(spark, folder):
        if name != keep:
            folders.delete(spark, f"{folder}/{name}")

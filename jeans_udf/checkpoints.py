"""Where a run keeps its stream's checkpoint and its staged batches, and what goes of older ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pyspark.sql import SparkSession

from jeans_udf import folders, tables
from jeans_udf.changes import Again
from jeans_udf.commit import Catalog
from jeans_udf.sources import Source
from jeans_udf.table_names import Output


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
    def full(self) -> str:
        """There while a full pass is under way; names its runs, one a line."""
        return f"{self.checkpoint}/full"

    @property
    def compared(self) -> str:
        """Fingerprint of a source without a change feed when it was last compared to the end."""
        return f"{self.checkpoint}/compared"

    @property
    def staging(self) -> str:
        return f"{self.root}/_staging"


def find_work(
    spark: SparkSession, source: Source, output: Output, catalog: Catalog, model_version: str
) -> Work:
    """A source or an output that was dropped and made anew has another id: all starts anew."""
    ids = (source.identity(spark), tables.table_id(spark, catalog.image_status))
    identity = "\0".join((str(source), *ids, model_version))
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return Work(key, tables.work_folder(spark, output))


def clean_up(spark: SparkSession, work: Work) -> bool:
    """Remove what other checkpoints and crashed runs left; whether ours starts anew.

    Only one checkpoint is kept: coming back to an earlier bundle has to look at every image
    again, since the tables hold the later one's rows.
    """
    _forget_others(spark, f"{work.root}/_checkpoints", keep=work.key)
    fresh = not folders.child_names(spark, f"{work.checkpoint}/stream/offsets")
    if fresh:
        # Staged batches are numbered by the checkpoint that is gone.
        forget_stream(spark, work)
    _forget_others(spark, work.staging, keep=None if fresh else work.key)
    return fresh


def forget_stream(spark: SparkSession, work: Work) -> None:
    """Begin anew with every row of the source; a full pass goes on with the runs that it has."""
    folders.delete(spark, work.reconciled)
    folders.delete(spark, f"{work.checkpoint}/stream")
    folders.delete(spark, f"{work.staging}/{work.key}")


def begin_full_pass(spark: SparkSession, work: Work, run_id: str, asked: bool) -> Again:
    """The runs of the full pass that this run is part of, if any.

    A pass that was interrupted goes on, whether or not it is asked for again.
    """
    under_way = folders.read_text(spark, work.full)
    if under_way is None and not asked:
        return Again()
    if under_way is None:
        # The mark first: a run that dies in between does no harm by looking at every row.
        folders.write_text(spark, work.full, run_id)
        forget_stream(spark, work)
        folders.delete(spark, work.compared)
        return Again(full_runs=(run_id,))
    runs = (*under_way.splitlines(), run_id)
    folders.write_text(spark, work.full, "\n".join(runs))
    return Again(full_runs=runs)


def _forget_others(spark: SparkSession, folder: str, keep: str | None) -> None:
    for name in folders.child_names(spark, folder):
        if name != keep:
            folders.delete(spark, f"{folder}/{name}")

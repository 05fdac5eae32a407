"""What one run did: a row of tagging_runs, and the exit code."""

from __future__ import annotations

import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata

from pyspark.sql import SparkSession

from jeans_udf import tables
from jeans_udf.config import TaggingConfig
from jeans_udf.errors import EXIT_FAILED, EXIT_OK, EXIT_OVER_ERROR_BUDGET, EXIT_USAGE, UsageError
from jeans_udf.schemas import TAGGING_RUNS
from jeans_udf.tables import Table

LIBRARIES = (
    "jeans-udf pyspark delta-spark torch torchvision detectron2 pb1-detectron2 fastai timm".split()
)


@dataclass(frozen=True)
class Tally:
    """Counts of tagged images, taken from the rows that were staged for commit."""

    images: int
    garments: int
    statuses: Counter[str]
    reasons: Counter[str]
    stage_seconds: Counter[str]


@dataclass
class Run:
    """A run on its way. Counts are those of committed batches."""

    source: str
    model_version: str
    bundle_sha256: str
    config: TaggingConfig
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    source_version_from: int | None = None
    source_version_to: int | None = None
    images: int = 0
    deleted: int = 0
    garments: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    stage_seconds: Counter[str] = field(default_factory=Counter)
    tagging_seconds: float = 0.0
    exit_code: int | None = None
    error: str | None = None

    def read(self, version_from: int | None, version_to: int | None) -> None:
        """Note the source versions of a batch; batches come in their order."""
        if self.source_version_from is None:
            self.source_version_from = version_from
        if version_to is not None:
            self.source_version_to = version_to

    def add(self, tally: Tally, seconds: float) -> None:
        """Count a committed batch that took ``seconds`` of wall time to tag."""
        self.images += tally.images
        self.garments += tally.garments
        self.statuses += tally.statuses
        self.reasons += tally.reasons
        self.stage_seconds += tally.stage_seconds
        self.tagging_seconds += seconds

    @property
    def rejected_fraction(self) -> float:
        return self.statuses["rejected"] / self.images if self.images else 0.0

    @property
    def images_per_second(self) -> float | None:
        return self.images / self.tagging_seconds if self.images and self.tagging_seconds else None

    @property
    def wall_seconds(self) -> float:
        return ((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds()

    def finish(self, error: BaseException | None = None) -> int:
        """Set the end, the error and the exit code, which is returned."""
        self.ended_at = datetime.now(UTC)
        if error is not None:
            self.error = f"{type(error).__name__}: {error}"[:4000]
            self.exit_code = EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
        elif self.rejected_fraction > self.config.max_rejected_fraction:
            self.exit_code = EXIT_OVER_ERROR_BUDGET
        else:
            self.exit_code = EXIT_OK
        return self.exit_code


def append_run(spark: SparkSession, table: Table, run: Run) -> None:
    """Write the run's row; once for each run, failed and empty ones included."""
    values = {
        "run_id": run.run_id,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "source": run.source,
        "source_version_from": run.source_version_from,
        "source_version_to": run.source_version_to,
        "images": run.images,
        "deleted": run.deleted,
        "garments": run.garments,
        "status_counts": dict(run.statuses),
        "reason_counts": dict(run.reasons),
        "images_per_second": run.images_per_second,
        "stage_seconds": dict(run.stage_seconds),
        "wall_seconds": run.wall_seconds,
        "model_version": run.model_version,
        "bundle_sha256": run.bundle_sha256,
        "config_sha256": run.config.digest(),
        "config": run.config.model_dump_json(),
        "versions": library_versions(),
        "exit_code": run.exit_code,
        "error": run.error,
    }
    row = tuple(values[name] for name in TAGGING_RUNS.names)
    tables.append(spark.createDataFrame([row], TAGGING_RUNS).coalesce(1), table)


def library_versions() -> dict[str, str]:
    """Versions of what decides the results; a library that is not installed is left out."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


@contextmanager
def recorded(spark: SparkSession, table: Table, run: Run) -> Iterator[Run]:
    """Whatever becomes of the block, its run gets its one row."""
    try:
        yield run
    except BaseException as error:
        run.finish(error)
        try:
            append_run(spark, table, run)
        except Exception as second:  # Spark itself may be gone: the first error is the one to show
            print(f"run {run.run_id}: no row in {table}: {second}", file=sys.stderr)
        raise
    run.finish()
    append_run(spark, table, run)

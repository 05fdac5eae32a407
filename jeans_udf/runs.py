"""What one run did: a row of tagging_runs, and the exit code."""

from __future__ import annotations

import sys
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from jeans_udf.config import TaggingConfig
from jeans_udf.errors import EXIT_FAILED, EXIT_OK, EXIT_OVER_LIMIT, EXIT_USAGE, UsageError


@dataclass(frozen=True)
class Tally:
    """Counts of tagged images, taken from the rows that were staged for commit."""

    images: int
    garments: int
    statuses: Counter[str]
    reasons: Counter[str]
    stage_seconds: Counter[str]
    label_counts: Counter[str] = field(default_factory=Counter)
    """Garments by ``group.label``, ``category`` being a group as well."""
    recalled: int = 0
    """Images whose detections were known: only classified."""


class Listener(Protocol):
    """Hears of a run beside its row of tagging_runs; see `listeners`."""

    def batch(self, run: Run, tally: Tally, seconds: float) -> None:
        """A batch was committed, ``seconds`` after its images began to be read."""

    def ended(self, run: Run) -> None:
        """The run is over, well or not."""


@dataclass
class Run:
    """A run on its way. Counts are those of committed batches."""

    source: str
    model_version: str
    bundle_sha256: str
    config: TaggingConfig
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    detector: str = ""
    """`thresholds.detector_identity`"""
    kind: str = "refresh"
    run_no: int | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    source_version_from: int | None = None
    source_version_to: int | None = None
    images: int = 0
    recalled: int = 0
    deleted: int = 0
    garments: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    stage_seconds: Counter[str] = field(default_factory=Counter)
    label_counts: Counter[str] = field(default_factory=Counter)
    drift: Mapping[str, float] = field(default_factory=dict)
    tables_before: Mapping[str, int] = field(default_factory=dict)
    restored_run: str | None = None
    tagging_seconds: float = 0.0
    exit_code: int | None = None
    error: str | None = None
    listeners: tuple[Listener, ...] = ()

    def read(self, version_from: int | None, version_to: int | None) -> None:
        """Note the source versions of a batch; batches come in their order."""
        if self.source_version_from is None:
            self.source_version_from = version_from
        if version_to is not None:
            self.source_version_to = version_to

    def add(self, tally: Tally, seconds: float) -> None:
        """Count a committed batch that took ``seconds`` of wall time, from reading its images
        to the last table's commit."""
        self.images += tally.images
        self.recalled += tally.recalled
        self.garments += tally.garments
        self.statuses += tally.statuses
        self.reasons += tally.reasons
        self.stage_seconds += tally.stage_seconds
        self.label_counts += tally.label_counts
        self.tagging_seconds += seconds
        self._tell("batch", tally, seconds)

    @property
    def began_empty(self) -> bool:
        """Whether nothing had ever been written to the output: nothing to look for there."""
        return set(self.tables_before.values()) == {0}

    @property
    def rejected_fraction(self) -> float:
        return self.statuses["rejected"] / self.images if self.images else 0.0

    @property
    def images_per_second(self) -> float | None:
        return self.images / self.tagging_seconds if self.images and self.tagging_seconds else None

    @property
    def wall_seconds(self) -> float:
        return ((self.ended_at or datetime.now(UTC)) - self.started_at).total_seconds()

    def over_limits(self) -> list[str]:
        """What the run exceeded, a sentence each; its rows are written all the same."""
        limits = []
        if self.rejected_fraction > self.config.max_rejected_fraction:
            limits.append(
                f"{self.rejected_fraction:.1%} of the images were rejected, above "
                f"max_rejected_fraction={self.config.max_rejected_fraction}"
            )
        for group, index in self.drift.items():
            if index > self.config.drift.max_index:
                limits.append(
                    f"{group} drifted: population stability index {index:.2f} against the last "
                    f"run, above drift.max_index={self.config.drift.max_index}"
                )
        return limits

    def finish(self, error: BaseException | None = None) -> int:
        """Set the end, the error and the exit code, which is returned."""
        self.ended_at = datetime.now(UTC)
        if error is not None:
            self.error = f"{type(error).__name__}: {error}"[:4000]
            self.exit_code = EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
        elif self.over_limits():
            self.exit_code = EXIT_OVER_LIMIT
        else:
            self.exit_code = EXIT_OK
        return self.exit_code

    def tell_end(self) -> None:
        """Tell the listeners, once the run's row says the same."""
        self._tell("ended")

    def _tell(self, event: str, *about: Any) -> None:
        for listener in self.listeners:
            try:
                getattr(listener, event)(self, *about)
            except Exception as error:  # who only listens must not cost a run
                told = f"{type(error).__name__}: {str(error)[:300]}"
                print(f"run {self.run_id}: {type(listener).__name__}: {told}", file=sys.stderr)

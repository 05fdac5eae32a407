"""Daft: a class UDF, `daft.cls`, with a batch method.

After its documentation, "Stateful Class UDFs with @daft.cls" (docs/custom-code/cls.md of Daft's
repository): the models load in ``__init__``, once an instance; ``max_concurrency`` instances, each
in a process of its own by ``use_process``; ``daft.method.batch`` with a batch size. It runs on
Daft's native runner, which is what Daft takes on one machine.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Before the import: no usage figures are sent from a benchmark.
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")

import daft  # noqa: E402

from benchmarks.side_by_side import gate  # noqa: E402
from benchmarks.side_by_side.outcome import Outcome, read_outputs  # noqa: E402
from benchmarks.side_by_side.passes import SCHEMA  # noqa: E402
from benchmarks.side_by_side.workload import Workload  # noqa: E402

BATCH_SIZE = 32
"""Images a method gets at once."""


class Tag:
    """An instance's models, and a batch of images to their garments."""

    def __init__(self, work: Workload, ready: str) -> None:
        from benchmarks.side_by_side import passes

        self.passes = passes
        self.tagger = passes.open_tagger(work)
        gate.wait_for_all(Path(ready), work.split.processes)

    def garments(self, image_ids: daft.Series, images: daft.Series) -> list[Any]:
        """Garments of each image as `passes.GARMENT`."""
        rows = self.passes.tag_images(self.tagger, image_ids.to_pylist(), images.to_pylist())
        return [row["garments"] for row in rows]


def measure(work: Workload) -> Outcome:
    """Parquet through the instances to Parquet."""
    batch_size = work.batch(BATCH_SIZE)
    ready, output = gate.open_gate(work.path("daft-gate")), work.fresh("daft")
    daft.set_runner_native()
    garments = daft.DataType.from_arrow_type(SCHEMA.field("garments").type)
    decorate = daft.method.batch(return_dtype=garments, batch_size=batch_size)
    # What the decorators do, with figures that are known only now.
    tag = daft.cls(
        type("Tagging", (Tag,), {"garments": decorate(Tag.garments)}),
        max_concurrency=work.split.processes, use_process=True,
    )(work, str(ready))  # fmt: skip
    photos = daft.read_parquet(f"{work.path('photos')}.parquet/*.parquet")
    rows = photos.select(
        photos["image_id"], tag.garments(photos["image_id"], photos["image"]).alias("garments")
    )
    rows.write_parquet(str(output))
    end = time.time()
    ready_at = gate.opened_at(ready, work.split.processes)
    settings = asdict(work.split) | {"batch_size": batch_size}
    return Outcome(end - ready_at, ready_at, read_outputs(output), settings)

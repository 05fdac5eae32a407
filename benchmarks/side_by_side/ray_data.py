"""Ray Data: `map_batches` with a callable class, whose actors hold the models.

After its documentation: https://docs.ray.io/en/latest/data/api/doc/ then
ray.data.Dataset.map_batches.html (a class that loads the model in ``__init__``, a batch size,
``num_cpus`` for an actor) and ray.data.ActorPoolStrategy.html (a pool of a fixed size);
https://docs.ray.io/en/latest/data/performance-tips.html. Decoding is in the actors too: a stage of
its own, which pays beside a GPU, would send pixels through the object store here.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path

# Before the import: no usage figures are sent from a benchmark.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pyarrow as pa  # noqa: E402
import ray  # noqa: E402
import ray.data  # noqa: E402

from benchmarks.side_by_side import gate  # noqa: E402
from benchmarks.side_by_side.outcome import Outcome, read_outputs  # noqa: E402
from benchmarks.side_by_side.workload import Workload  # noqa: E402

BATCH_SIZE = 32
"""Images an actor gets at once. More leave one actor idle at the end, fewer split the canvases."""
CORES_BESIDE = 1
"""Logical cores beyond the actors': tasks that list, read and write files ask for one each, and
would wait for ever for actors that hold them all."""
STORE_BYTES = 1_000_000_000
"""Memory for photos and rows on their way; Ray would take a third of the machine's."""


class Tag:
    """An actor's models, and a batch of images to rows of `passes.SCHEMA`."""

    def __init__(self, work: Workload, ready: str) -> None:
        from benchmarks.side_by_side import passes

        self.passes = passes
        self.tagger = passes.open_tagger(work)
        gate.wait_for_all(Path(ready), work.split.processes)

    def __call__(self, batch: pa.Table) -> pa.Table:
        images = batch["image"].to_pylist()
        rows = self.passes.tag_images(self.tagger, batch["image_id"].to_pylist(), images)
        return pa.Table.from_pylist(rows, schema=self.passes.SCHEMA)


def measure(work: Workload) -> Outcome:
    """Parquet through the actors to Parquet."""
    batch_size = work.batch(BATCH_SIZE)
    ready, output = gate.open_gate(work.path("ray-gate")), work.fresh("ray_data")
    ray.init(num_cpus=work.cores + CORES_BESIDE, object_store_memory=STORE_BYTES,
             include_dashboard=False)  # fmt: skip
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    photos = ray.data.read_parquet(f"{work.path('photos')}.parquet")
    rows = photos.map_batches(
        Tag,
        fn_constructor_args=(work, str(ready)),
        batch_size=batch_size,
        batch_format="pyarrow",
        num_cpus=work.split.threads,
        compute=ray.data.ActorPoolStrategy(size=work.split.processes),
    )
    rows.write_parquet(str(output))
    end = time.time()
    ray.shutdown()
    ready_at = gate.opened_at(ready, work.split.processes)
    settings = asdict(work.split) | {"batch_size": batch_size}
    return Outcome(end - ready_at, ready_at, read_outputs(output), settings)

"""Ray Data: `map_batches` with a callable class, whose actors hold the models.

After its documentation: https://docs.ray.io/en/latest/data/batch_inference.html (a class that
loads the model in ``__init__``, `ActorPoolStrategy` of a fixed size, a batch size, ``num_cpus`` for
an actor) and https://docs.ray.io/en/latest/data/performance-tips.html. Decoding is in the actors
too: a stage of its own, which pays beside a GPU, would send pixels through the object store here.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import ray
import ray.data

from benchmarks.side_by_side import gate
from benchmarks.side_by_side.outcome import Outcome, read_outputs
from benchmarks.side_by_side.workload import Workload

BATCH_SIZE = 32
"""Images an actor gets at once. More leave one actor idle at the end, fewer split the canvases."""
SMALL_TASK = 0.05
"""Share of a core that reading and writing ask for, so that they need not wait for an actor."""


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
    batch_size = work.batch_size or BATCH_SIZE
    ready, output = gate.open_gate(work.path("ray-gate")), work.fresh("ray_data")
    ray.init(num_cpus=work.cores, include_dashboard=False, log_to_driver=True, **_memory())
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    small: dict[str, Any] = {"num_cpus": SMALL_TASK}
    photos = ray.data.read_parquet(f"{work.path('photos')}.parquet", ray_remote_args=small)
    rows = photos.map_batches(
        Tag,
        fn_constructor_args=(work, str(ready)),
        batch_size=batch_size,
        batch_format="pyarrow",
        # Room for the small tasks beside actors that fill all cores.
        num_cpus=work.split.threads - 4 * SMALL_TASK,
        compute=ray.data.ActorPoolStrategy(size=work.split.processes),
    )
    rows.write_parquet(str(output), ray_remote_args=small)
    end = time.time()
    ray.shutdown()
    ready_at = gate.opened_at(ready, work.split.processes)
    settings = asdict(work.split) | {"batch_size": batch_size}
    return Outcome(end - ready_at, ready_at, read_outputs(output), settings)


def _memory() -> dict[str, Any]:
    """Room for photos and rows; Ray would take a third of the machine's memory."""
    return {"object_store_memory": 1_000_000_000}

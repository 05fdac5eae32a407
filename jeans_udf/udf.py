"""The pass over the pixels as one Spark stage: `mapInPandas` around `tagger.Tagger`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from pyspark import TaskContext
from pyspark.sql import DataFrame

from jeans_udf.config import TaggingConfig
from jeans_udf.schemas import staged_schema
from jeans_udf.vocabulary import Vocabulary

if TYPE_CHECKING:
    from jeans_udf.ahead import SourceImage
    from jeans_udf.tagger import Tagger

OUTPUT_ROWS = 64
OUTPUT_BYTES = 32_000_000
"""Bounds of one output frame: crops are big, and Spark does not split what a UDF gives it."""

_TAGGERS: dict[tuple[str, str, str], Tagger] = {}
"""Models of this Python worker, by bundle, digest and configuration: loaded once."""


def tag_images(
    images: DataFrame,
    bundle_directory: Path,
    bundle_sha256: str,
    config: TaggingConfig,
    vocabulary: Vocabulary,
    count: Callable[[int, int, dict[str, int]], None] | None = None,
) -> DataFrame:
    """``images`` (image_id, product_id, image, path) to rows of `schemas.staged_schema`.

    The executors open the bundle at the same path, check its digests against ``bundle_sha256``
    and keep the models for the worker's life. ``count(images, garments, rejected by reason)`` is
    called in the workers for the progress display.
    """
    schema = staged_schema(vocabulary)
    columns = schema.names
    directory = str(bundle_directory)

    def tag(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        tagger = _tagger(directory, bundle_sha256, config)
        for rows in _bounded(tagger.tag(_source_images(frames))):
            if count is not None:
                count(*_counts(rows))
            yield pd.DataFrame(rows, columns=columns)

    wanted = images.select("image_id", "product_id", "image", "path")
    return wanted.mapInPandas(tag, schema=schema)


def task_device(kind: str) -> str:
    """``cpu`` or ``cuda:N``: the GPU that Spark gave the task, else a visible one, else the CPU.

    Raises RuntimeError when ``kind`` is cuda and there is none.
    """
    import torch

    context = TaskContext.get()
    given = context.resources().get("gpu") if context is not None else None
    if kind == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return f"cuda:{given.addresses[0]}" if given else "cuda:0"
    if kind == "cuda":
        raise RuntimeError(
            "device.kind=cuda, but torch sees no GPU in this task; set "
            "spark.task.resource.gpu.amount and the executor's, or use device.kind=auto"
        )
    return "cpu"


def _tagger(directory: str, sha256: str, config: TaggingConfig) -> Tagger:
    # Imported here: the driver plans without loading torch, and a worker forks before CUDA starts.
    import torch

    from jeans_udf.bundle import open_bundle
    from jeans_udf.errors import BundleError
    from jeans_udf.tagger import Tagger

    context = TaskContext.get()
    # Spark gives a task this many cores; more threads would take other tasks' cores.
    torch.set_num_threads(config.device.threads or (context.cpus() if context else os.cpu_count()))
    key = (directory, sha256, config.digest())
    if key not in _TAGGERS:
        bundle = open_bundle(f"{directory}/")
        if bundle.manifest_sha256 != sha256:
            raise BundleError(
                f"bundle {directory}: this worker's manifest has sha256 "
                f"{bundle.manifest_sha256[:12]}…, the driver's {sha256[:12]}…; "
                "put the same bundle on every machine"
            )
        _TAGGERS.clear()
        _TAGGERS[key] = Tagger(bundle, config, torch.device(task_device(config.device.kind)))
    return _TAGGERS[key]


def _source_images(frames: Iterable[pd.DataFrame]) -> Iterator[SourceImage]:
    from jeans_udf.ahead import SourceImage

    for frame in frames:
        for row in frame.itertuples(index=False):
            data = None if row.image is None else bytes(row.image)
            yield SourceImage(row.image_id, row.product_id, data, row.path)


def _bounded(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    waiting: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        waiting.append(row)
        size += sum(len(garment["crop"]) for garment in row["found"])
        if len(waiting) >= OUTPUT_ROWS or size >= OUTPUT_BYTES:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def _counts(rows: list[dict[str, Any]]) -> tuple[int, int, dict[str, int]]:
    reasons: dict[str, int] = {}
    for row in rows:
        if row["reason"] is not None:
            reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
    return len(rows), sum(row["garments"] for row in rows), reasons

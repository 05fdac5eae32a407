"""The pass over the pixels as one Spark stage: `mapInPandas` around `tagger.Tagger`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import pandas as pd
from pyspark import TaskContext
from pyspark.resource import ResourceProfile
from pyspark.sql import DataFrame
from pyspark.sql import types as T

from jeans_udf.config import TaggingConfig
from jeans_udf.devices import CUDA_BYTES, drives_gpu
from jeans_udf.isolation.lost import lost_row, sound_image
from jeans_udf.isolation.models import open_tagger
from jeans_udf.isolation.supervisor import Supervisor
from jeans_udf.schemas import staged_schema
from jeans_udf.source_image import Known, SourceImage
from jeans_udf.vocabulary import Vocabulary

OUTPUT_ROWS = 64
OUTPUT_BYTES = 32_000_000
"""Bounds of one output frame: crops are big, and Spark does not split what a UDF gives it."""

OUTPUT_SECONDS = 20.0
"""Longest wait for a frame to fill: Spark takes a silent worker for a hanging one."""

_SUPERVISORS: dict[tuple[tuple[str, ...], str, str, int, str | None], Supervisor] = {}
"""The process with this Python worker's models, by all that decides its answers: opened once."""


def tag_images(
    images: DataFrame,
    bundle_places: tuple[str, ...],
    bundle_sha256: str,
    config: TaggingConfig,
    vocabulary: Vocabulary,
    count: Callable[[int, int, dict[str, int]], None] | None = None,
    profile: ResourceProfile | None = None,
    gpu_share: float = 1.0,
) -> DataFrame:
    """``images`` to rows of `schemas.staged_schema`.

    Columns in: image_id, product_id, image, path, and known, known_sha256 (`changes.with_known`).
    The executors open the bundle in one of ``bundle_places``, check its digests against
    ``bundle_sha256`` and keep the models for the worker's life, in a process of their own
    (`isolation`).
    ``count(images, garments, rejected by reason)`` is called in the workers for the progress
    display. ``profile`` is what the stage's tasks get (`resources.pixel_profile`), ``gpu_share``
    how much of a GPU's memory one may take.
    """
    schema = staged_schema(vocabulary)
    columns = schema.names

    def tag(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        supervisor = _supervisor(bundle_places, bundle_sha256, config, schema, gpu_share)
        for rows in _bounded(supervisor.tag(_source_images(frames))):
            if count is not None:
                count(*_counts(rows))
            yield pd.DataFrame(rows, columns=columns)

    wanted = images.select("image_id", "product_id", "image", "path", "known", "known_sha256")
    return wanted.mapInPandas(tag, schema=schema, profile=profile)


def _supervisor(
    places: tuple[str, ...],
    sha256: str,
    config: TaggingConfig,
    schema: T.StructType,
    gpu_share: float,
) -> Supervisor:
    context = TaskContext.get()
    given = context.resources().get("gpu") if context is not None else None
    gpu = given.addresses[0] if given else None
    # Spark gives a task this many cores; more threads would take other tasks' cores.
    threads = config.device.threads or (context.cpus() if context else os.cpu_count() or 1)
    key = (places, sha256, config.digest(), threads, gpu)
    if key not in _SUPERVISORS:
        # Of an executor's several GPUs a worker may meet each in turn: all stay open.
        for other in [other for other in _SUPERVISORS if other[:-1] != key[:-1]]:
            _SUPERVISORS.pop(other).close()
        limits = config.isolation
        if drives_gpu(config.device.kind, gpu):
            more = limits.max_memory_bytes + CUDA_BYTES
            limits = limits.model_copy(update={"max_memory_bytes": more})
        _SUPERVISORS[key] = Supervisor(
            partial(open_tagger, places, sha256, config, threads, gpu, gpu_share),
            limits,
            partial(lost_row, schema, config.images),
            sound_image(),
        )
    return _SUPERVISORS[key]


def _source_images(frames: Iterable[pd.DataFrame]) -> Iterator[SourceImage]:
    for frame in frames:
        for row in frame.itertuples(index=False):
            data = None if row.image is None else bytes(row.image)
            known = None if row.known is None else tuple(map(_known, row.known))
            yield SourceImage(
                row.image_id, row.product_id, data, row.path, known, row.known_sha256
            )


def _known(detection: dict[str, Any]) -> Known:
    box = detection["box"]
    corners = (box["x_min"], box["y_min"], box["x_max"], box["y_max"])
    return Known(corners, tuple(detection["scores"]), detection["mask"])


def _bounded(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    waiting: list[dict[str, Any]] = []
    size, since = 0, time.monotonic()
    for row in rows:
        waiting.append(row)
        size += sum(len(garment["crop"]) for garment in row["found"])
        late = time.monotonic() - since > OUTPUT_SECONDS
        if len(waiting) >= OUTPUT_ROWS or size >= OUTPUT_BYTES or late:
            yield waiting
            waiting, size, since = [], 0, time.monotonic()
    if waiting:
        yield waiting


def _counts(rows: list[dict[str, Any]]) -> tuple[int, int, dict[str, int]]:
    reasons: dict[str, int] = {}
    for row in rows:
        if row["reason"] is not None:
            reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
    return len(rows), sum(row["garments"] for row in rows), reasons

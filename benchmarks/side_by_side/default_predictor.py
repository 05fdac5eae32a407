"""What users write first: a pandas UDF, `DefaultPredictor` for each image, `learn.predict` a crop.

After https://spark.apache.org/docs/latest/api/python/reference/pyspark.sql/api/
pyspark.sql.functions.pandas_udf.html (Series to DataFrame),
https://detectron2.readthedocs.io/en/latest/modules/engine.html (`DefaultPredictor`) and
https://docs.fast.ai/learner.html (`Learner.predict`). Plain torch with the system's own allocator,
one thread a task (as Spark sets it); the models are kept for the worker's life. `peer_models` has
the models.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageOps
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_type
from pyspark.sql.types import StructField, StructType
from safetensors.torch import load_file

from benchmarks.side_by_side import spark_rows
from benchmarks.side_by_side.outcome import Outcome
from benchmarks.side_by_side.passes import SCHEMA
from benchmarks.side_by_side.workload import Split, Workload

WEIGHTS = "detector.pth"


def measure(work: Workload) -> Outcome:
    """A task for each core, one thread each."""
    own = replace(work, split=Split(1, 1))
    write_weights(own)
    garments = StructField("garments", from_arrow_type(SCHEMA.field("garments").type))
    tag = F.pandas_udf(tag_with(own), StructType([garments]))  # type: ignore[call-overload]
    spark = spark_rows.plain_session(work)
    columns = F.col("image_id"), F.col("image")
    outcome = spark_rows.run_query(spark, work, tag(*columns), "default_predictor")
    outcome.settings = {"processes": work.cores, "threads": 1}
    return outcome


def write_weights(work: Workload) -> None:
    """The bundle's detector as the checkpoint that `DefaultPredictor` reads."""
    bundle = work.open_bundle()
    tensors = load_file(str(bundle.path(bundle.manifest.detector.weights)))
    widened = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    torch.save({"model": widened}, work.path(WEIGHTS))


def tag_with(work: Workload) -> Callable[[pd.Series, pd.Series], pd.DataFrame]:
    """The UDF: every image of the batch by itself."""

    def tag(image_ids: pd.Series, images: pd.Series) -> pd.DataFrame:
        models = _models(work)
        found = [tag_image(models, key, data)
                 for key, data in zip(image_ids, images, strict=True)]  # fmt: skip
        return pd.DataFrame({"garments": found})

    return tag


@lru_cache(maxsize=1)
def _models(work: Workload) -> Any:
    from benchmarks.side_by_side.peer_models import PeerModels

    return PeerModels(work.open_bundle(), work.config(), work.path(WEIGHTS))


def tag_image(models: Any, image_id: str, data: bytes) -> list[dict[str, Any]]:
    """One encoded image to its garments as `passes.GARMENT`."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    pixels = np.asarray(picture)
    found: list[dict[str, Any]] = models.garments(pixels)
    for number, garment in enumerate(found):
        garment["garment_id"] = f"{image_id}-{number}"
    return found

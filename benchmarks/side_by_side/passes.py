"""The product's own models over photos: what the loops and the frameworks' workers call.

Only the public methods of `Tagger` are used, so every row but `default_predictor` runs on the
engine that the configuration chooses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import torch

from benchmarks.side_by_side.outcome import garment
from benchmarks.side_by_side.workload import Workload
from jeans_udf.ahead import Decoded
from jeans_udf.devices import task_device
from jeans_udf.rows import Found, tagged_row
from jeans_udf.source_image import SourceImage
from jeans_udf.tagger import Tagger

GARMENT = pa.struct({
    "garment_id": pa.string(), "category": pa.string(), "score": pa.float32(),
    "labels": pa.list_(pa.string()), "box": pa.list_(pa.float32()),
    "mask_height": pa.int32(), "mask_width": pa.int32(), "mask_counts": pa.string(),
    "crop": pa.binary(),
})  # fmt: skip
SCHEMA = pa.schema({"image_id": pa.string(), "garments": pa.list_(GARMENT)})
"""What every framework writes: a row an image, its garments with PNG crops and RLE masks."""


def open_tagger(work: Workload) -> Tagger:
    """The bundle's models in this process, on ``work.split.threads`` threads, warm."""
    torch.set_num_threads(work.split.threads)
    config = work.config()
    device = torch.device(task_device(config.device.kind, None))
    tagger = Tagger(work.open_bundle(), config, device)
    warm = decode_files(tagger, work, work.files("warm"))
    for batch in batches(warm, tagger.batch_pixels):
        find(tagger, batch)
    return tagger


def decode_files(tagger: Tagger, work: Workload, files: Iterable[str]) -> Iterator[Decoded]:
    """The photos of ``files``, decoded ahead on threads as the job does."""
    return tagger.decode_ahead()(
        SourceImage(file.rpartition("/")[2], None, _bytes_of(file), None) for file in files
    )


def batches(decoded: Iterable[Decoded], batch_pixels: int) -> Iterator[list[Decoded]]:
    """Groups of equal canvases of at most ``batch_pixels`` pixels, at least one image each."""
    waiting: dict[tuple[int, int], list[Decoded]] = {}
    for image in decoded:
        assert image.canvas is not None, f"{image.source.image_id}: {image.rejected}"
        shape = image.canvas.shape
        group = waiting.setdefault(shape, [])
        group.append(image)
        if (len(group) + 1) * shape[0] * shape[1] > batch_pixels:
            yield waiting.pop(shape)
    yield from waiting.values()


def find(tagger: Tagger, batch: Sequence[Decoded]) -> list[list[Found]]:
    """The garments of each photo of a batch of equal canvases: detect, cut, classify."""
    detections = tagger.detector.detect([i.canvas for i in batch if i.canvas is not None])
    found = [
        tagger.cut(image.pixels, detected, image.canvas.original)
        for image, detected in zip(batch, detections, strict=True)
        if image.pixels is not None and image.canvas is not None
    ]  # fmt: skip
    tagger.classify([one for garments in found for one in garments])
    return [tagger.kept(garments) for garments in found]


def compared(found: Sequence[Found]) -> list[list[str]]:
    """Garments as `outcome.Outputs` has them."""
    assert all(one.attributes is not None for one in found)
    return sorted(garment(f.category, f.attributes.labels) for f in found if f.attributes)


def tag_images(
    tagger: Tagger, image_ids: Sequence[str], images: Sequence[bytes]
) -> list[dict[str, Any]]:
    """Rows of `SCHEMA`, in the order of the images: the whole way from bytes to PNG and RLE."""
    sources = [SourceImage(key, None, bytes(data), None)
               for key, data in zip(image_ids, images, strict=True)]  # fmt: skip
    decoded = list(tagger.decode_ahead()(sources))
    rows = {}
    for batch in batches(decoded, tagger.batch_pixels):
        for image, found in zip(batch, find(tagger, batch), strict=True):
            row = tagged_row(image, found, tagger.model_version, tagger.vocabulary, {})
            rows[image.source.image_id] = [flat(one) for one in row["found"]]
    return [{"image_id": key, "garments": rows[key]} for key in image_ids]


def flat(one: dict[str, Any]) -> dict[str, Any]:
    """A garment of the job's row as one of `GARMENT`."""
    mask = one["mask"] or {"height": None, "width": None, "counts": None}
    return {
        "garment_id": one["garment_id"], "category": one["category"], "score": one["score"],
        "labels": one["attributes"], "box": list(one["box"].values()),
        "mask_height": mask["height"], "mask_width": mask["width"],
        "mask_counts": mask["counts"], "crop": one["crop"],
    }  # fmt: skip


def _bytes_of(file: str) -> bytes:
    with open(file, "rb") as opened:
        return opened.read()

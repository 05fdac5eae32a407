"""The dataset's files: COCO for training and validation, and a summary."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jeans_udf.annotations.checked import CheckedPhoto, Garment
from jeans_udf.annotations.faults import FaultLog
from jeans_udf.annotations.importing import Imported, Request
from jeans_udf.annotations.split import SPLITS
from jeans_udf.geometry import decode_rle, mask_area, mask_box

_LARGEST_ID = 2**53
"""Above it, not every reader of JSON keeps a whole number exact."""


def write_dataset(
    output: Path, imported: Imported, request: Request, log: FaultLog
) -> dict[str, Any]:
    """``instances_train.json``, ``instances_val.json`` and ``summary.json``; returns the summary.

    Each file appears whole or not at all.
    """
    keeps = _has_usable_ids(imported)
    numbers = {id(photo): number for number, photo in enumerate(imported.photos, start=1)}
    next_id = 1
    for split in SPLITS:
        photos = imported.of_split(split)
        coco = _coco(photos, request.names.categories)
        for photo in photos:
            image_id = photo.listed.identity if keeps else numbers[id(photo)]
            coco["images"].append(_image(photo, image_id))
            for garment in photo.garments:
                annotation_id = garment.listed.identity if keeps else next_id
                next_id += 1
                category = request.names.categories.index(garment.category) + 1
                coco["annotations"].append(_annotation(garment, annotation_id, image_id, category))
        write_json(output / f"instances_{split}.json", coco)
    summary = summarize(imported, request, log, keeps)
    write_json(output / "summary.json", summary, indent=2)
    return summary


def summarize(
    imported: Imported, request: Request, log: FaultLog, keeps_ids: bool
) -> dict[str, Any]:
    """Where the dataset comes from, and what it holds."""
    splitting = request.splitting
    given = request.sources[0].split is not None
    return {
        "sources": [
            {"file": str(one.source.path), "photos": str(one.source.photos), "format": one.format,
             "split": one.source.split, "sha256": one.sha256}
            for one in imported.listings
        ],
        "categories": list(request.names.categories),
        "renamed": dict(request.names.renames),
        "ignored_categories": sorted(request.names.ignored),
        "split_by": "product" if splitting.by_product else "photo",
        "split": "given" if given else {"val_share": splitting.val_share, "seed": splitting.seed},
        "ids": "kept" if keeps_ids else "renumbered",
        "splits": {split: _counts(imported.of_split(split), request.names.categories)
                   for split in SPLITS},
        "faults": log.counts(),
        "left_out": imported.checked.left_out,
        "ignored_annotations": imported.checked.ignored,
        "unlisted_photos": imported.unlisted,
        "unlisted_as_negatives": request.unlisted_as_negatives,
    }  # fmt: skip


def write_json(path: Path, data: Any, indent: int | None = None) -> None:
    """Write beside the file first, so that a crash leaves no half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(data, indent=indent, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _counts(photos: Sequence[CheckedPhoto], categories: Sequence[str]) -> dict[str, Any]:
    garments = [garment for photo in photos for garment in photo.garments]
    found = Counter(garment.category for garment in garments if not garment.listed.crowd)
    same = Counter(photo.file.sha256 for photo in photos)
    products = {photo.product_id for photo in photos if photo.product_id is not None}
    return {
        "photos": len(photos),
        "with_garments": sum(1 for photo in photos if photo.categories),
        "negatives": sum(1 for photo in photos if not photo.garments),
        "same_bytes_as_another": sum(count - 1 for count in same.values()),
        "products": len(products),
        "annotations": len(garments),
        "crowds": sum(garment.listed.crowd for garment in garments),
        "by_category": {category: found[category] for category in categories},
    }


def _has_usable_ids(imported: Imported) -> bool:
    images = [photo.listed.identity for photo in imported.photos]
    annotations = [g.listed.identity for photo in imported.photos for g in photo.garments]
    return all(
        len(set(ids)) == len(ids)
        and all(isinstance(one, int) and 0 <= one <= _LARGEST_ID for one in ids)
        for ids in (images, annotations)
    )


def _coco(photos: Sequence[CheckedPhoto], categories: Sequence[str]) -> dict[str, Any]:
    return {
        "info": {"description": f"{len(photos)} photos, written by import_annotations.py"},
        "licenses": [],
        "categories": [
            {"id": number, "name": name, "supercategory": "garment"}
            for number, name in enumerate(categories, start=1)
        ],
        "images": [],
        "annotations": [],
    }


def _image(photo: CheckedPhoto, image_id: Any) -> dict[str, Any]:
    entry = {"id": image_id, "file_name": photo.file.name,
             "width": photo.file.width, "height": photo.file.height}  # fmt: skip
    if photo.product_id is not None:
        entry["product_id"] = photo.product_id
    return entry


def _annotation(
    garment: Garment, annotation_id: Any, image_id: Any, category_id: int
) -> dict[str, Any]:
    box = mask_box(decode_rle(garment.rle))
    assert box is not None, "an empty mask is a fault"
    x_min, y_min, x_max, y_max = (float(edge) for edge in box)
    entry = {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": garment.segmentation,
        "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
        "area": mask_area(garment.rle),
        "iscrowd": int(garment.listed.crowd),
    }
    if garment.listed.attributes is not None:
        entry["attributes"] = garment.listed.attributes
    return entry

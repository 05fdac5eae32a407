"""Garments for people to look at, or that people corrected, as a dataset for the training jobs.

    low_confidence, attribute_overrides ► the photos they stand in ► photos/, instances.json,
        attributes.csv

A photo goes out whole: with all its garments, since what a dataset leaves out of a photo teaches a
detector that it is none. Photos of which people said that they show no garment go out without any.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jeans_udf.annotations.writing import write_json
from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.geometry import decode_rle, mask_area, mask_box
from jeans_udf.image_format import image_format
from jeans_udf.images import sha256_hex
from jeans_udf.paths import read_image_file
from jeans_udf.views.groups import Groups

SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")

Row = dict[str, Any]


@dataclass
class Exported:
    """What was written, and what was left out."""

    photos: int = 0
    garments: int = 0
    corrected: int = 0
    without_mask: int = 0
    ignored: int = 0
    """Rows of attribute_overrides that correct nothing; the view ignored_overrides has them."""
    changed: list[str] = field(default_factory=list)
    """Images whose bytes are others now than when they were tagged, or are gone."""


@dataclass(frozen=True)
class Wanted:
    """The rows that go out: images to look at, and their garments as reviewed."""

    images: DataFrame
    """image_id, product_id, image_sha256, width, height."""
    garments: DataFrame
    """Rows of reviewed_garments."""


def wanted_images(
    status: DataFrame,
    reviewed: DataFrame,
    low_confidence: DataFrame,
    overrides: DataFrame,
    ignored: DataFrame,
    limit: int,
) -> Wanted:
    """Images with a corrected garment first, then those with the least confidence.

    ``ignored``: the view ignored_overrides, whose rows correct nothing.
    """
    # A photo in which nothing was found teaches that there is nothing, which nobody has said.
    status = status.where("status = 'tagged'")
    names = ignored.drop("reason").columns
    followed = overrides.select(*names).exceptAll(ignored.select(*names))
    said = followed.select("product_id", "image_id").distinct()
    corrected = (
        status.select("image_id", "product_id").alias("s")
        .join(F.broadcast(said).alias("o"),
              F.expr("s.product_id = o.product_id AND coalesce(o.image_id, s.image_id) = "
                     "s.image_id"), "left_semi")
        .select("image_id", F.lit(-1.0).alias("confidence"))
    )  # fmt: skip
    low = low_confidence.groupBy("image_id").agg(F.min("confidence").alias("confidence"))
    order = corrected.unionByName(low.withColumn("confidence", F.col("confidence").cast("double")))
    first = order.groupBy("image_id").agg(F.min("confidence").alias("confidence"))
    first = first.orderBy("confidence", "image_id").limit(limit).select("image_id")
    columns = ("image_id", "product_id", "image_sha256", "width", "height")
    images = status.select(*columns).join(
        F.broadcast(first), "image_id", "left_semi"
    )  # fmt: skip
    return Wanted(images, reviewed.join(F.broadcast(first), "image_id", "left_semi"))


def export(
    source: DataFrame,
    wanted: Wanted,
    groups: Groups,
    folder: Path,
    limits: ImageLimits,
) -> Exported:
    """Write ``photos/``, ``instances.json`` and ``attributes.csv`` to ``folder``."""
    done = Exported()
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    images = {row.image_id: row.asDict() for row in wanted.images.collect()}
    found: dict[str, list[Row]] = defaultdict(list)
    for row in wanted.garments.orderBy("image_id", "garment_no").toLocalIterator():
        found[row.image_id].append(row.asDict(recursive=True))
    # Those of the vocabulary in its order, then what an earlier one has left in the table.
    seen = sorted({row["category"] for rows in found.values() for row in rows})
    categories = list(dict.fromkeys((*groups.labels.get("category", ()), *seen)))
    coco = _coco(categories)
    table: list[list[str]] = []
    came = set()
    for image_id, data in _photos(source, images, limits):
        came.add(image_id)
        image = images[image_id]
        if data is None or sha256_hex(data) != image["image_sha256"]:
            done.changed.append(image_id)
            continue
        garments = found[image_id]
        masked = [one for one in garments if one["mask"] is not None]
        done.without_mask += len(garments) - len(masked)
        if len(masked) < len(garments):
            continue
        name = file_name(image_id, data)
        (folder / "photos" / name).write_bytes(data)
        number = len(coco["images"]) + 1
        coco["images"].append({"id": number, "file_name": name, "width": image["width"],
                               "height": image["height"], "product_id": image["product_id"]})
        for garment in masked:
            annotation = _annotation(garment, len(coco["annotations"]) + 1, number, categories)
            coco["annotations"].append(annotation)
            table.append(_labels(garment, annotation["id"], name, groups))
            done.corrected += bool(garment["reviewed"])
        done.photos += 1
    # An image that the source has lost never came by.
    done.changed += sorted(images.keys() - came)
    done.garments = len(coco["annotations"])
    write_json(folder / "instances.json", coco)
    _write_csv(folder / "attributes.csv", ["file_path", "annotation_id", "category", *groups.all],
               table)  # fmt: skip
    return done


def file_name(image_id: str, data: bytes) -> str:
    """A name that is safe on every file system and one's own, with the ending of its format."""
    stem = UNSAFE.sub("_", Path(image_id).stem)[:80] or "image"
    ending = SUFFIX.get(image_format(data) or "", ".jpg")
    return f"{stem}-{sha256_hex(image_id.encode())[:8]}{ending}"


def _photos(
    source: DataFrame, images: Iterable[str], limits: ImageLimits
) -> Iterator[tuple[str, bytes | None]]:
    """Bytes of the images, one after the other, by the same rules as tagging."""
    given = [name for name in ("image", "path") if name in source.columns]
    rows = source.where(F.col("image_id").isin(list(images))).select("image_id", *given)
    for row in rows.orderBy("image_id").toLocalIterator():
        values = row.asDict()
        data = values.get("image")
        if data is None and values.get("path") is not None:
            try:
                data = read_image_file(values["path"], limits)
            except Rejected:
                data = None
        yield row.image_id, None if data is None else bytes(data)


def _coco(categories: list[str]) -> dict[str, Any]:
    return {
        "info": {"description": "written by export_review.py"},
        "licenses": [],
        "categories": [{"id": number, "name": name, "supercategory": "garment"}
                       for number, name in enumerate(categories, start=1)],
        "images": [],
        "annotations": [],
    }  # fmt: skip


def _annotation(
    garment: Row, number: int, image_number: int, categories: list[str]
) -> dict[str, Any]:
    mask = garment["mask"]
    rle = {"size": [mask["height"], mask["width"]], "counts": mask["counts"]}
    box = mask_box(decode_rle(rle))
    assert box is not None, "a stored mask is never empty"
    left, top, right, bottom = (float(edge) for edge in box)
    return {
        "id": number, "image_id": image_number,
        "category_id": categories.index(garment["category"]) + 1,
        "segmentation": rle, "bbox": [left, top, right - left, bottom - top],
        "area": mask_area(rle), "iscrowd": 0,
        "attributes": {"score": garment["score"], "reviewed": garment["reviewed"]},
    }  # fmt: skip


def _labels(garment: Row, number: int, name: str, groups: Groups) -> list[str]:
    single = {group: garment[group] or "" for group in groups.exclusive}
    several = {group: ";".join(garment[group] or ()) for group in groups.multiple}
    category = garment["category"]
    # An earlier vocabulary may have let the model say more; the training jobs refuse such rows.
    values = [
        value if category in groups.applies_to.get(group, (category,)) else ""
        for group, value in (single | several).items()
    ]
    return [name, str(number), category, *values]


def _write_csv(path: Path, header: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text.getvalue(), encoding="utf-8")
    os.replace(partial, path)

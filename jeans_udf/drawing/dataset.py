"""A labelled set of drawn pictures in the layout of the real data: COCO, attributes, photos."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jeans_udf.annotations.export import Outlined, OutlinedPhoto, write_labelme, write_via
from jeans_udf.annotations.outlines import mask_outline
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import CATEGORIES
from jeans_udf.drawing.scene import NEGATIVES, DrawnGarment, DrawnPicture, draw_picture
from jeans_udf.errors import ConfigError, near_miss

ATTRIBUTE_COLUMNS = (
    "file_path", "annotation_id", "category", "wash", "fit", "length", "details", "view", "label",
)  # fmt: skip
FORMATS = ((0.94, ".jpg"), (0.97, ".png"), (1.0, ".webp"))
ANNOTATION_FORMATS = {
    "coco": "instances.json, masks as run lengths",
    "labelme": "a folder labelme/ with one JSON file a photo, masks as polygons",
    "via": "via.json, a VGG VIA project, masks as polygons",
}
"""Name -> what is written to ``annotations/``."""
WRITERS = {
    "labelme": lambda folder, photos: write_labelme(folder / "labelme", photos),
    "via": lambda folder, photos: write_via(folder / "via.json", photos),
}


def draw_dataset(
    directory: str | Path, count: int, seed: int, negatives: float = 0.25, start_id: int = 1,
    annotation_format: str = "coco",
) -> Path:  # fmt: skip
    """Write ``photos/`` and ``annotations/`` under ``directory``; returns it.

    ``negatives`` is the share of pictures without a bottom garment; ``start_id`` is the first
    image and annotation id, so that several sets can be joined; ``annotation_format`` is one of
    `ANNOTATION_FORMATS`. Picture n depends on (seed, n) only: a longer set begins with the
    shorter one.
    """
    if annotation_format not in ANNOTATION_FORMATS:
        raise ConfigError(f"draw_dataset: no annotation format {annotation_format!r}; "
                          f"{near_miss(annotation_format, ANNOTATION_FORMATS)}")  # fmt: skip
    if count < 1 or not 0 <= negatives <= 1:
        raise ConfigError(
            f"draw_dataset: got count {count} and negatives {negatives}; wanted at least one "
            "picture and a share in 0..1"
        )
    directory = Path(directory)
    (directory / "photos").mkdir(parents=True, exist_ok=True)
    (directory / "annotations").mkdir(exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    attributes, photos = [], []
    outlined: list[OutlinedPhoto] = []
    for number, picture, name in _pictures(directory / "photos", count, seed, negatives):
        image_id = start_id + number
        height, width = picture.image.shape[:2]
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        listed = "bottoms" if picture.garments else picture.kind
        photos.append((Path(name).stem, name, listed))
        if annotation_format != "coco":
            file = directory / "photos" / name
            outlined.append(OutlinedPhoto(file, height, width, _outlined(picture.garments)))
        for garment in picture.garments:
            annotation_id = start_id + len(annotations)
            annotations.append(_annotation(garment, annotation_id, image_id))
            attributes.append(_attribute_row(garment, annotation_id, name, picture.view))
    folder = directory / "annotations"
    if annotation_format == "coco":
        _write_coco(folder, images, annotations)
    else:
        WRITERS[annotation_format](folder, outlined)
    _write_lists(folder, attributes, photos)
    return directory


def _pictures(
    folder: Path, count: int, seed: int, negatives: float
) -> Iterator[tuple[int, DrawnPicture, str]]:
    names, weights = list(NEGATIVES), np.array(list(NEGATIVES.values()))
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        kind = None
        if rng.random() < negatives:
            kind = str(rng.choice(names, p=weights / weights.sum()))
        else:
            shares = [*CATEGORIES.values(), 0.06]
            kind = str(rng.choice([*CATEGORIES, "pair"], p=np.array(shares) / sum(shares)))
        picture = draw_picture(np.random.default_rng(rng.integers(2**62)), kind=kind)
        suffix = next(s for limit, s in FORMATS if rng.random() < limit)
        name = f"drawn_{seed}_{number:05d}{suffix}"
        save_picture(picture.image, folder / name, rng)
        yield number, picture, name


def save_picture(image: np.ndarray, path: Path, rng: Rng) -> None:
    """Encode ``image`` (H, W, 3) uint8 RGB as the suffix says, with a quality by chance."""
    quality = int(rng.integers(55, 96))
    settings: dict[str, Any] = {"quality": quality} if path.suffix != ".png" else {}
    if path.suffix == ".png":
        settings = {"compress_level": 3}
    Image.fromarray(image).save(path, **settings)


def _annotation(garment: DrawnGarment, annotation_id: int, image_id: int) -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    encoded = coco_mask.encode(np.asfortranarray(garment.mask.astype(np.uint8)))
    x0, y0, x1, y1 = garment.box
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": list(CATEGORIES).index(garment.category) + 1,
        "segmentation": {
            "size": [int(n) for n in encoded["size"]],
            "counts": encoded["counts"].decode("ascii"),
        },
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": float(garment.mask.sum()),
        "iscrowd": 0,
        "attributes": _labels(garment)[1:],
    }


def _labels(garment: DrawnGarment) -> list[str]:
    labels = [garment.category]
    for group in ("wash", "fit", "length"):
        if group in garment.attributes:
            labels.append(str(garment.attributes[group]))
    return labels + list(garment.attributes.get("details", ()))


def _attribute_row(
    garment: DrawnGarment, annotation_id: int, name: str, view: str
) -> tuple[Any, ...]:
    found = garment.attributes
    return (
        name, annotation_id, garment.category, found.get("wash", ""), found.get("fit", ""),
        found.get("length", ""), ";".join(found.get("details", ())), view,
        " ".join(_labels(garment)),
    )  # fmt: skip


def _outlined(garments: Sequence[DrawnGarment]) -> list[Outlined]:
    return [Outlined(one.category, mask_outline(one.mask), one.attributes) for one in garments]


def _write_coco(folder: Path, images: list[Any], annotations: list[Any]) -> None:
    coco = {
        "info": {"description": "drawn jeans and other bottom garments"},
        "licenses": [],
        "categories": [
            {"id": number, "name": name, "supercategory": "bottoms"}
            for number, name in enumerate(CATEGORIES, start=1)
        ],
        "images": images,
        "annotations": annotations,
    }
    (folder / "instances.json").write_text(json.dumps(coco), encoding="utf-8")


def _write_lists(folder: Path, attributes: list[Any], photos: list[Any]) -> None:
    for name, header, rows in (
        ("attributes.csv", ATTRIBUTE_COLUMNS, attributes),
        ("photos.csv", ("image_id", "path", "listed_as"), photos),
    ):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

"""COCO files: images, categories and annotations with polygons or run lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from jeans_udf.annotations import fields
from jeans_udf.annotations.faults import FaultLog, Faulty, Place, got
from jeans_udf.annotations.listed import ListedGarment, ListedPhoto, Names
from jeans_udf.annotations.shapes import Polygons, RunLengths, Shape, ring

_KEYS = ("images", "annotations", "categories")


def looks_like_coco(data: Any) -> bool:
    return isinstance(data, dict) and all(isinstance(data.get(key), list) for key in _KEYS)


def read_coco_entries(
    data: Any, file: str, names: Names, log: FaultLog
) -> tuple[list[ListedPhoto], int]:
    """Photos with their annotations, in the file's order, and how many annotations have no photo.

    ``data`` passes `looks_like_coco`.
    """
    place = Place(file)
    photos, by_id = _images(data["images"], place, log)
    categories = _categories(data["categories"], place, log)
    seen: set[int | str] = set()
    orphans = 0
    for number, value in enumerate(data["annotations"]):
        orphans += not _annotation(value, number, place, by_id, categories, names, seen, log)
    return photos, orphans


def _images(
    values: list[Any], place: Place, log: FaultLog
) -> tuple[list[ListedPhoto], dict[int | str, ListedPhoto]]:
    photos: list[ListedPhoto] = []
    by_id: dict[int | str, ListedPhoto] = {}
    for number, value in enumerate(values):
        photo = ListedPhoto(_image_place(value, number, place), "", faulty=True)
        photos.append(photo)
        with log.at(photo.place):
            entry = fields.as_object(value, "image")
            photo.identity = fields.identity(entry, "id")
            first = by_id.setdefault(photo.identity, photo)
            photo.name = fields.text(entry, "file_name")
            photo.height, photo.width = fields.side(entry, "height"), fields.side(entry, "width")
            if first is not photo:
                # Whose annotations are whose cannot be told, so that neither photo is of use.
                first.faulty = True
                raise Faulty("duplicate_image_id", f"id {got(photo.identity)} is also that of "
                             f"{got(first.name)}; give each image an id of its own")  # fmt: skip
            photo.faulty = False
    return photos, by_id


def _image_place(value: Any, number: int, place: Place) -> Place:
    if not isinstance(value, dict) or "id" not in value:
        return replace(place, entry=f"images[{number}]")
    name = value.get("file_name")
    shown = name if isinstance(name, str) else ""
    return replace(place, photo=shown, entry=f"image {got(value['id'])}")


def _categories(values: list[Any], place: Place, log: FaultLog) -> dict[int | str, str]:
    names: dict[int | str, str] = {}
    for number, value in enumerate(values):
        with log.at(replace(place, entry=f"categories[{number}]")):
            entry = fields.as_object(value, "category")
            identity, name = fields.identity(entry, "id"), fields.text(entry, "name")
            if names.setdefault(identity, name) != name:
                raise Faulty("malformed", f"category id {identity} is also that of "
                             f"{got(names[identity])}")  # fmt: skip
    return names


def _annotation(
    value: Any, number: int, place: Place, by_id: dict[int | str, ListedPhoto],
    categories: dict[int | str, str], names: Names, seen: set[int | str], log: FaultLog,
) -> bool:  # fmt: skip
    """Give the annotation to its photo; false when there is none."""
    place = replace(place, entry=f"annotations[{number}]")
    if not isinstance(value, dict):
        log.add("malformed", place, f"annotation: got {got(value)}, wanted an object")
        return False
    entry, photo, found = value, None, len(log.faults)
    if "id" in entry:
        place = replace(place, entry=f"annotation {got(entry['id'])}")
    with log.at(place):
        photo = _photo(entry, by_id)
        place = replace(place, photo=photo.name)
    parts = dict(_parts(entry, place, categories, names, seen, log))
    if photo is None:
        return False
    is_faulty = len(log.faults) > found
    if not is_faulty and parts["category"] is None:
        photo.ignored += 1
    else:
        nothing = {"identity": None, "category": None, "shape": None}
        photo.garments.append(ListedGarment(place, **(nothing | parts), faulty=is_faulty))
    return True


def _photo(entry: dict[str, Any], by_id: dict[int | str, ListedPhoto]) -> ListedPhoto:
    image_id = fields.identity(entry, "image_id")
    if image_id not in by_id:
        raise Faulty("unknown_image", f"image_id {got(image_id)} is not in images")
    return by_id[image_id]


def _parts(
    entry: dict[str, Any], place: Place, categories: dict[int | str, str], names: Names,
    seen: set[int | str], log: FaultLog,
) -> Iterator[tuple[str, Any]]:  # fmt: skip
    """Each part checked by itself, so that one fault does not hide the next."""
    with log.at(place):
        identity = fields.identity(entry, "id")
        if identity in seen:
            raise Faulty("duplicate_annotation_id", f"id {got(identity)} is used before")
        seen.add(identity)
        yield "identity", identity
    with log.at(place):
        category_id = fields.identity(entry, "category_id")
        if category_id not in categories:
            raise Faulty("unknown_category", f"category_id {got(category_id)} is not in categories")
        yield "category", names.category(categories[category_id])
    with log.at(place):
        yield "shape", _shape(entry.get("segmentation"))
    with log.at(place):
        if entry.get("bbox") is not None:
            box = fields.numbers(entry["bbox"], "bbox")
            if len(box) != 4:
                raise Faulty("malformed", f"bbox: {len(box)} numbers, wanted 4")
            yield "box", box
    with log.at(place):
        yield "crowd", _crowd(entry.get("iscrowd", 0))
    with log.at(place):
        yield "attributes", fields.attributes(entry.get("attributes"))


def _crowd(value: Any) -> bool:
    if value not in (0, 1):
        raise Faulty("malformed", f"iscrowd: got {got(value)}, wanted 0 or 1")
    return bool(value)


def _shape(value: Any) -> Shape:
    if value is None or value == []:
        raise Faulty("empty_mask", "segmentation: is missing or empty; a box alone is no outline")
    if isinstance(value, dict):
        return RunLengths(value.get("size"), value.get("counts"))
    rings = fields.as_list(value, "segmentation")
    return Polygons(tuple(ring(fields.numbers(one, "segmentation: polygon")) for one in rings))

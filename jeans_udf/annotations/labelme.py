"""LabelMe folders: one JSON file a photo, with polygons and rectangles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from jeans_udf.annotations import fields
from jeans_udf.annotations.faults import FaultLog, Faulty, Place, got
from jeans_udf.annotations.listed import ListedGarment, ListedPhoto, Names
from jeans_udf.annotations.shapes import Polygons, rectangle, ring


def looks_like_labelme(data: Any) -> bool:
    return isinstance(data, dict) and "shapes" in data and "imagePath" in data


def labelme_files(path: Path) -> list[Path]:
    """The JSON files of a folder and those below it, sorted; a file is one by itself."""
    if path.is_file():
        return [path]
    return sorted(
        Path(folder, name)
        for folder, _, names in os.walk(path)
        for name in names
        if name.lower().endswith(".json") and not name.startswith(".")
    )


def read_labelme(
    path: Path, photos: Path, names: Names, log: FaultLog
) -> Iterator[ListedPhoto | None]:
    """A photo for each JSON file; None for a file that tells none, so that both can be counted."""
    for file in labelme_files(path):
        place = Place(str(file))
        found = None
        with log.at(place):
            data = fields.load_json(file)
            if not looks_like_labelme(data):
                raise Faulty("malformed", "keys shapes and imagePath are missing; wanted LabelMe")
            name = _photo_name(fields.text(data, "imagePath"), file, photos)
            found = ListedPhoto(replace(place, photo=name), name)
        if found is not None:
            _fill(found, data, names, log)
        yield found


def _fill(photo: ListedPhoto, data: dict[str, Any], names: Names, log: FaultLog) -> None:
    with log.at(photo.place):
        photo.faulty = True
        photo.height = fields.side(data, "imageHeight")
        photo.width = fields.side(data, "imageWidth")
        photo.faulty = False
    with log.at(photo.place):
        photo.lost += 1
        shapes = fields.as_list(data["shapes"], "shapes")
        photo.lost -= 1
        for numbers in _instances(shapes):
            _garment(photo, shapes, numbers, names, log)


def _photo_name(stated: str, file: Path, photos: Path) -> str:
    """``imagePath``, which is relative to the JSON file, as seen from the photo folder."""
    # Written on Windows, it holds backslashes.
    stated = stated.replace("\\", "/")
    beside = os.path.normpath(os.path.join(os.path.realpath(file.parent), stated))
    folder = os.path.realpath(photos)
    if os.path.commonpath((folder, beside)) == folder and "\0" not in beside:
        return os.path.relpath(beside, folder)
    return stated


def _instances(shapes: list[Any]) -> list[list[int]]:
    """Numbers of the shapes that belong together: the same label and the same group_id."""
    groups: dict[Any, list[int]] = {}
    for number, shape in enumerate(shapes):
        key: Any = number
        if isinstance(shape, dict) and type(shape.get("group_id")) is int:
            key = (str(shape.get("label")), shape["group_id"])
        groups.setdefault(key, []).append(number)
    return list(groups.values())


def _garment(
    photo: ListedPhoto, shapes: list[Any], numbers: list[int], names: Names, log: FaultLog
) -> None:
    found = len(log.faults)
    category = None
    rings: list[tuple[float, ...]] = []
    flags: list[str] = []
    for number in numbers:
        place = replace(photo.place, entry=f"shape {number}")
        with log.at(place):
            one = fields.as_object(shapes[number], "shape")
            with log.at(place):
                category = names.category(fields.text(one, "label"))
            with log.at(place):
                flags += _flags(one.get("flags"))
            rings += _outline(one).rings
    is_faulty = len(log.faults) > found
    if not is_faulty and category is None:
        photo.ignored += 1
    else:
        place = replace(photo.place, entry="shape " + "+".join(map(str, numbers[:20])))
        kept = list(dict.fromkeys(flags)) or None
        shape = Polygons(tuple(rings)) if rings else None
        photo.garments.append(
            ListedGarment(place, None, category, shape, attributes=kept, faulty=is_faulty)
        )


def _outline(shape: dict[str, Any]) -> Polygons:
    kind = shape.get("shape_type", "polygon")
    if kind not in ("polygon", "rectangle"):
        raise Faulty(
            "unsupported_shape", f"shape_type: got {got(kind)}, wanted polygon or rectangle"
        )
    points = fields.as_list(shape.get("points"), "points")
    pairs = [fields.numbers(point, "point") for point in points]
    if any(len(pair) != 2 for pair in pairs):
        raise Faulty("malformed", "points: wanted pairs of x and y")
    if kind == "polygon":
        return Polygons((ring(tuple(value for pair in pairs for value in pair)),))
    if len(pairs) != 2:
        raise Faulty("malformed", f"rectangle: {len(pairs)} points, wanted 2 opposite corners")
    (x0, y0), (x1, y1) = pairs
    return rectangle(x0, y0, x1, y1)


def _flags(flags: Any) -> list[str]:
    """Names of the flags that are set."""
    if flags is None:
        return []
    return [name for name, is_set in fields.as_object(flags, "flags").items() if is_set is True]

"""VGG Image Annotator, version 2: a project, or its annotations exported as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from jeans_udf.annotations import fields
from jeans_udf.annotations.faults import FaultLog, Faulty, Place, got, printable
from jeans_udf.annotations.listed import ListedGarment, ListedPhoto, Names
from jeans_udf.annotations.shapes import Ellipse, Polygons, Shape, rectangle, ring
from jeans_udf.errors import ConfigError, near_miss

PROJECT_KEY = "_via_img_metadata"


def looks_like_via(data: Any) -> bool:
    if not isinstance(data, dict):
        return False
    if PROJECT_KEY in data:
        return True
    entries = list(data.values())
    return bool(entries) and any(
        isinstance(one, dict) and "filename" in one and "regions" in one for one in entries
    )


def read_via(
    data: Any, file: str, names: Names, log: FaultLog, label_attribute: str | None = None
) -> list[ListedPhoto]:
    """Photos with their regions; ``data`` passes `looks_like_via`. VIA states no photo's size.

    ``label_attribute`` is the region attribute that holds the category; without it, it is the
    only one, or the only one that holds names of the vocabulary. Raises `ConfigError` when it
    cannot be told.
    """
    entries = data.get(PROJECT_KEY, data)
    if not isinstance(entries, dict):
        raise ConfigError(f"annotations {file}: {PROJECT_KEY}: wanted an object of photos")
    attribute = _label_attribute(entries.values(), file, names, label_attribute)
    photos = []
    for key, value in entries.items():
        place = Place(file, entry=f"photo {got(key)}")
        with log.at(place):
            entry = fields.as_object(value, "photo")
            name = fields.text(entry, "filename")
            photo = ListedPhoto(Place(file, name), name)
            photos.append(photo)
            photo.lost = 1
            regions = _regions(entry.get("regions"))
            photo.lost = 0
            for number, region in regions:
                _garment(photo, number, region, attribute, names, log)
    return photos


def _regions(value: Any) -> list[tuple[str, Any]]:
    """Regions with their numbers; VIA 1 wrote an object, VIA 2 writes a list."""
    if isinstance(value, dict):
        return list(value.items())
    return [(str(number), region) for number, region in enumerate(fields.as_list(value, "regions"))]


def _label_attribute(
    entries: Iterable[Any], file: str, names: Names, wanted: str | None
) -> str:
    values: dict[str, set[str]] = {}
    for entry in entries:
        regions = entry.get("regions") if isinstance(entry, dict) else None
        for region in regions.values() if isinstance(regions, dict) else _list(regions):
            attributes = region.get("region_attributes") if isinstance(region, dict) else None
            for key, value in attributes.items() if isinstance(attributes, dict) else ():
                values.setdefault(key, set()).update(_chosen(value))
    if wanted is not None:
        if values and wanted not in values:
            raise ConfigError(f"annotations {file}: --label-attribute {wanted!r}: no region has "
                              f"it; {_known(wanted, values)}")  # fmt: skip
        return wanted
    fitting = [key for key, found in values.items() if any(map(names.knows, found))]
    for candidates in (fitting, list(values)):
        if len(candidates) == 1:
            return candidates[0]
    if not values:
        return "category"
    raise ConfigError(
        f"annotations {file}: which region attribute holds the category cannot be told; give "
        f"--label-attribute with one of them; {_known('category', fitting or list(values))}"
    )


def _known(wanted: str, keys: Iterable[str]) -> str:
    return near_miss(wanted, [printable(key, 60) for key in list(keys)[:20]])


def _chosen(value: Any) -> list[str]:
    """Text of a text field, choice of a list, or the boxes that are ticked."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [name for name, ticked in value.items() if ticked is True]
    return []


def _garment(
    photo: ListedPhoto, number: str, value: Any, attribute: str, names: Names, log: FaultLog
) -> None:
    place = replace(photo.place, entry=f"region {printable(number, 40)}")
    found = len(log.faults)
    category, shape, kept = None, None, None
    with log.at(place):
        region = fields.as_object(value, "region")
        with log.at(place):
            labels = fields.as_object(region.get("region_attributes"), "region_attributes")
            category = names.category(_category(labels, attribute))
            kept = _kept(labels, attribute)
        shape = _shape(fields.as_object(region.get("shape_attributes"), "shape_attributes"))
    is_faulty = len(log.faults) > found
    if not is_faulty and category is None:
        photo.ignored += 1
    else:
        photo.garments.append(
            ListedGarment(place, None, category, shape, attributes=kept, faulty=is_faulty)
        )


def _category(labels: dict[str, Any], attribute: str) -> str:
    chosen = [name.strip() for name in _chosen(labels.get(attribute)) if name.strip()]
    if len(chosen) != 1:
        raise Faulty(
            "unknown_category",
            f"attribute {attribute!r}: got {got(labels.get(attribute))}, wanted one category",
        )
    return chosen[0]


def _kept(labels: dict[str, Any], attribute: str) -> dict[str, Any] | None:
    """The other attributes: a text, or the list of ticked boxes; empty ones are left out."""
    others: dict[str, Any] = {}
    for key, value in labels.items():
        chosen = _chosen(value)
        if key != attribute and chosen not in ([], [""]):
            others[key] = chosen if isinstance(value, dict) else chosen[0]
    return others or None


def _shape(values: dict[str, Any]) -> Shape:
    kind = values.get("name")
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise Faulty("unsupported_shape", f"shape: got {got(kind)}, wanted {', '.join(_SHAPES)}")
    return _SHAPES[kind](values)


def _number(values: dict[str, Any], key: str) -> float:
    return fields.number(values.get(key), key)


def _polygon(values: dict[str, Any]) -> Shape:
    xs = fields.numbers(values.get("all_points_x"), "all_points_x")
    ys = fields.numbers(values.get("all_points_y"), "all_points_y")
    if len(xs) != len(ys):
        raise Faulty("malformed", f"polygon: {len(xs)} x and {len(ys)} y, wanted as many of each")
    return Polygons((ring(tuple(value for pair in zip(xs, ys, strict=True) for value in pair)),))


def _rect(values: dict[str, Any]) -> Shape:
    x, y = _number(values, "x"), _number(values, "y")
    width, height = _number(values, "width"), _number(values, "height")
    if width < 0 or height < 0:
        raise Faulty("malformed", f"rect: width {width:g} and height {height:g}, wanted above 0")
    return rectangle(x, y, x + width, y + height)


def _circle(values: dict[str, Any]) -> Shape:
    radius = _number(values, "r")
    return Ellipse(_number(values, "cx"), _number(values, "cy"), radius, radius)


def _ellipse(values: dict[str, Any]) -> Shape:
    # Versions before 2.0.9 had no turned ellipses.
    turn = fields.number(values.get("theta", 0), "theta")
    return Ellipse(_number(values, "cx"), _number(values, "cy"), _number(values, "rx"),
                   _number(values, "ry"), turn)  # fmt: skip


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_SHAPES = {
    "polygon": _polygon,
    "polyline": _polygon,
    "rect": _rect,
    "circle": _circle,
    "ellipse": _ellipse,
}

"""Values out of JSON files that anybody may have written, each checked before it is used."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jeans_udf.annotations.faults import Faulty, got

LARGEST_FILE = 1_000_000_000
"""Bytes of an annotation file; COCO's own largest has half of it."""


def load_json(path: Path) -> Any:
    """What the JSON file holds. Raises `Faulty` (not_json); NaN and infinity come as floats."""
    try:
        if not path.is_file():
            raise Faulty("not_json", "no regular file of that name")
        if path.stat().st_size > LARGEST_FILE:
            raise Faulty("not_json", f"more than {LARGEST_FILE:,} bytes; split the file")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise Faulty("not_json", f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise Faulty("not_json", f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Faulty("not_json", f"{error.msg} at {where}") from None
    except ValueError:
        raise Faulty("not_json", "a number of thousands of digits") from None
    except RecursionError:
        raise Faulty("not_json", "nested too deep") from None


def as_object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Faulty("malformed", f"{what}: got {got(value)}, wanted an object")
    return value


def as_list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Faulty("malformed", f"{what}: got {got(value)}, wanted a list")
    return value


def text(values: Mapping[str, Any], key: str) -> str:
    """The non-empty string at ``key``."""
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        raise Faulty("malformed", f"{key}: got {got(value)}, wanted a text")
    return value


def identity(values: Mapping[str, Any], key: str) -> int | str:
    """A whole number or text that names an entry."""
    value = values.get(key)
    # By type and not isinstance: True is an int to Python.
    if type(value) is not int and not isinstance(value, str):
        raise Faulty("malformed", f"{key}: got {got(value)}, wanted a whole number")
    return value


def side(values: Mapping[str, Any], key: str) -> int | None:
    """A stated width or height in pixels; None where the file does not state it."""
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 1:
        raise Faulty("malformed", f"{key}: got {got(value)}, wanted a whole number of pixels")
    return value


def number(value: Any, what: str) -> float:
    """A finite number. Raises `Faulty`: malformed for another type, not_finite."""
    if type(value) is not int and type(value) is not float:
        raise Faulty("malformed", f"{what}: got {got(value)}, wanted a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Faulty("not_finite", f"{what}: got {got(value)}, wanted a finite number")
    return found


def numbers(value: Any, what: str) -> tuple[float, ...]:
    """A list of finite numbers."""
    return tuple(number(one, what) for one in as_list(value, what))


def attributes(value: Any) -> list[str] | dict[str, Any] | None:
    """Attributes worth keeping: a list of names, or names with plain values; None for none."""
    if value is None or value == [] or value == {}:
        return None
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return list(value)
    if isinstance(value, dict) and all(_plain(one) for one in value.values()):
        return dict(value)
    raise Faulty(
        "malformed", f"attributes: got {got(value)}, wanted names, or names with plain values"
    )


def _plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)

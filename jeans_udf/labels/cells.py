"""Cells of label files, each checked before it is used."""

from __future__ import annotations

import posixpath
import re
from typing import Any

from jeans_udf.annotations.faults import got
from jeans_udf.errors import JeansError

LONGEST = 100_000
"""Characters of a cell."""
LONGEST_PATH = 4096
MOST_WORDS = 1000
"""Labels in a cell."""
# Surrogates stand for bytes that are not UTF-8.
_UNSAFE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_WHOLE = re.compile(r"(-?[0-9]{1,18})(?:\.0*)?")


class BadCell(JeansError):
    """A cell that cannot be used; the message says what was got and wanted."""


def text(value: Any, column: str) -> str:
    """The cell's text; empty for none. A whole number is its digits, also as a float's 541.0."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="surrogateescape")
    if type(value) is int or (isinstance(value, float) and value.is_integer()):
        value = str(int(value))
    if not isinstance(value, str):
        raise BadCell(f"{column}: got {got(value)}, wanted a text")
    if len(value) > LONGEST:
        raise BadCell(f"{column}: {len(value):,} characters, wanted at most {LONGEST:,}")
    found = _UNSAFE.search(value)
    if found:
        what = "bytes that are not UTF-8" if found[0] > "\x7f" else f"a control sign {found[0]!r}"
        raise BadCell(f"{column}: {what}; save the file as UTF-8 text")
    return value


def file_path(value: Any) -> str:
    """A photo's path, ``a/../b.jpg`` and ``./b.jpg`` as ``b.jpg``: both are one photo."""
    path = text(value, "file_path")
    if not path.strip():
        raise BadCell("file_path: is empty, wanted a photo's path")
    if len(path) > LONGEST_PATH:
        raise BadCell(f"file_path: {len(path):,} characters, wanted at most {LONGEST_PATH:,}")
    return posixpath.normpath(path)


def annotation_id(value: Any) -> int | None:
    """A whole number, also as 12.0: pandas writes such a column so when a row has none."""
    shown = text(value, "annotation_id").strip()
    if not shown:
        return None
    whole = _WHOLE.fullmatch(shown)
    if whole is None:
        raise BadCell(f"annotation_id: got {got(shown)}, wanted a whole number or nothing")
    return int(whole[1])


def words(value: Any, separator: str, column: str) -> list[str]:
    """The labels in a cell: parted by ``separator``, or a list; each once, in their order."""
    if isinstance(value, list):
        parts = [text(one, column) for one in value[: MOST_WORDS + 1]]
    else:
        parts = text(value, column).split(separator)
    found = list(dict.fromkeys(_label(part.strip()) for part in parts if part.strip()))
    if len(found) > MOST_WORDS:
        raise BadCell(f"{column}: more than {MOST_WORDS:,} labels")
    return found


def _label(word: str) -> str:
    whole = _WHOLE.fullmatch(word) if "." in word else None
    return whole[1] if whole else word

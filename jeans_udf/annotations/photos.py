"""The photo files that annotations name: found, decoded and measured."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jeans_udf.annotations.faults import Faulty, got
from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.images import decode_image, sha256_hex
from jeans_udf.paths import read_image_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of photos that are counted as not listed."""
_LONGEST_NAME = 4096
_CODES = {"forbidden_path": "path_outside", "missing_file": "photo_missing"}


@dataclass(frozen=True)
class PhotoFile:
    """A photo that decodes: ``name`` relative to its folder, links resolved; size upright."""

    name: str
    sha256: str
    height: int
    width: int


def look_at(name: str, folder: Path) -> PhotoFile:
    """Read and decode the photo ``name`` in ``folder``.

    Raises `Faulty`: path_outside, photo_missing, or photo_unreadable with the reason for which
    the tagging job would reject it.
    """
    if len(name) > _LONGEST_NAME:
        # Resolving a path takes time with the square of its length.
        raise Faulty("photo_missing", f"a path of {len(name):,} characters")
    limits = ImageLimits(roots=(str(folder),))
    try:
        data = read_image_file(name, limits)
        height, width = decode_image(data, limits).shape[:2]
    except Rejected as rejected:
        code = _CODES.get(rejected.reason, "photo_unreadable")
        where = f"{got(name)} in {folder}" if code != "path_outside" else got(name)
        raise Faulty(code, f"{where}: {_sentence(rejected, code)}") from None
    # The name as the folder has it, so that a/../b.jpg and b.jpg are one photo.
    real = os.path.realpath(os.path.join(folder, name))
    return PhotoFile(
        os.path.relpath(real, os.path.realpath(folder)), sha256_hex(data), height, width
    )


def check_size(photo: PhotoFile, height: int | None, width: int | None) -> None:
    """The stated size, where there is one, is the photo's; raises `Faulty` (photo_size)."""
    stated = (width or photo.width, height or photo.height)
    actual = (photo.width, photo.height)
    if stated == actual:
        return
    hint = "are the annotations of a resized copy?"
    if stated == actual[::-1]:
        hint = "is it turned by its EXIF orientation? annotate the upright photo"
    raise Faulty(
        "photo_size", f"stated {_size(stated)}, the upright photo has {_size(actual)}; {hint}"
    )


def photo_names(folder: Path) -> list[str]:
    """Names of the photos below ``folder``, relative to it, sorted; no link is followed."""
    return sorted(
        os.path.relpath(os.path.join(inner, name), folder)
        for inner, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES) and not name.startswith(".")
    )


def _sentence(rejected: Rejected, code: str) -> str:
    if code == "path_outside":
        return "leads out of the photo folder (links resolved), or is no path of a photo"
    return f"{rejected.reason}: {rejected.detail}" if code == "photo_unreadable" else (
        f"{rejected.detail}; is --photos right?"
    )  # fmt: skip


def _size(size: tuple[int, int]) -> str:
    return f"{got(size[0])} x {got(size[1])}"

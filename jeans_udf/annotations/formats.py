"""Which format an annotation file is in, and how it is read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jeans_udf.annotations.coco import looks_like_coco, read_coco_entries
from jeans_udf.annotations.faults import FaultLog, Faulty
from jeans_udf.annotations.fields import load_json
from jeans_udf.annotations.labelme import labelme_files, looks_like_labelme, read_labelme
from jeans_udf.annotations.listed import ListedPhoto, Names, Source
from jeans_udf.annotations.via import looks_like_via, read_via
from jeans_udf.errors import ConfigError
from jeans_udf.training.progress import Progress

FORMATS = {
    "coco": "a JSON file with images, annotations and categories",
    "labelme": "a folder with one JSON file a photo, each with shapes and imagePath",
    "via": "a VGG VIA 2 project, or its annotations exported as JSON",
}
"""Name -> what is wanted."""
_SEEMS = {"coco": looks_like_coco, "via": looks_like_via, "labelme": looks_like_labelme}


@dataclass
class Listing:
    """What one source lists. ``sha256`` covers its bytes; a folder's its files' names as well."""

    source: Source
    format: str
    sha256: str
    photos: list[ListedPhoto] = field(default_factory=list)
    unread: int = 0
    """Annotation files of a folder that tell no photo."""
    orphans: int = 0
    """Annotations that belong to no listed photo."""


def read_source(
    source: Source, names: Names, log: FaultLog, format: str | None = None,
    label_attribute: str | None = None,
) -> Listing:  # fmt: skip
    """Read a file or folder; its format is found by itself when ``format`` is None.

    Raises `ConfigError` for a file that is not there, no JSON, or of none of the formats.
    """
    path = source.path
    if not path.exists():
        raise ConfigError(f"annotations {path}: no such file or folder")
    if path.is_dir():
        _check_folder(path, format)
        listing = Listing(source, "labelme", _digest(path))
        _read_folder(listing, names, log)
        return listing
    try:
        data = load_json(path)
    except Faulty as fault:
        raise ConfigError(f"annotations {path}: {fault.detail}; wanted {_wanted(format)}") from None
    found = _format(data, path, format)
    listing = Listing(source, found, _digest(path))
    if found == "coco":
        listing.photos, listing.orphans = read_coco_entries(data, str(path), names, log)
    elif found == "via":
        listing.photos = read_via(data, str(path), names, log, label_attribute)
    else:
        _read_folder(listing, names, log)
    return listing


def _format(data: Any, path: Path, wanted: str | None) -> str:
    for name, seems in _SEEMS.items():
        if wanted in (None, name) and seems(data):
            return name
    keys = [repr(str(key)[:30]) for key in data][:6] if isinstance(data, dict) else []
    what = f"an object with keys {', '.join(keys)}" if keys else "no object with keys"
    raise ConfigError(f"annotations {path}: {what}; wanted {_wanted(wanted)}")


def _wanted(format: str | None) -> str:
    if format is not None:
        return f"{FORMATS[format]} (--format {format})"
    return "; or ".join(f"{what} ({name})" for name, what in FORMATS.items())


def _check_folder(path: Path, wanted: str | None) -> None:
    if wanted not in (None, "labelme"):
        raise ConfigError(f"annotations {path}: is a folder; wanted {_wanted(wanted)}")
    files = labelme_files(path)
    if not files:
        raise ConfigError(f"annotations {path}: a folder without JSON files; "
                          f"wanted {_wanted('labelme')}")  # fmt: skip
    if wanted is None and not any(_is_labelme(file) for file in files[:20]):
        raise ConfigError(
            f"annotations {path}: a folder, but none of its first {len(files[:20])} JSON files is "
            f"of LabelMe; give a single COCO or VIA file, or {FORMATS['labelme']}"
        )


def _is_labelme(file: Path) -> bool:
    try:
        return looks_like_labelme(load_json(file))
    except Faulty:
        return False


def _read_folder(listing: Listing, names: Names, log: FaultLog) -> None:
    source = listing.source
    progress = Progress(len(labelme_files(source.path)), "files", 1)
    for photo in read_labelme(source.path, source.photos, names, log):
        if photo is None:
            listing.unread += 1
        else:
            listing.photos.append(photo)
        progress.update(len(listing.photos) + listing.unread, "reading LabelMe files")


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    for file in labelme_files(path):
        if path.is_dir():
            name = file.relative_to(path).as_posix().encode("utf-8", "surrogateescape")
            total.update(name + b"\0" + _file_digest(file))
    return total.hexdigest() if path.is_dir() else _file_digest(path).hex()


def _file_digest(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise ConfigError(f"annotations {file}: cannot be read ({error.strerror})") from None

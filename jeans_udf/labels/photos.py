"""The photos that a label file names: there or not, without decoding them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from jeans_udf.config import ImageLimits
from jeans_udf.errors import ConfigError, Rejected
from jeans_udf.labels.faults import FaultLog
from jeans_udf.labels.labelled import Labelled
from jeans_udf.paths import read_image_file


def log_missing_photos(rows: Sequence[Labelled], folder: Path, log: FaultLog) -> None:
    """A fault for each row whose photo is no file of ``folder``, links resolved.

    Raises `ConfigError` if ``folder`` is none.
    """
    if not folder.is_dir():
        raise ConfigError(f"photos {folder}: is no folder; give the one that file_path starts from")
    names = {row.file_path for row in rows}
    missing = {name: _missing(name, folder) for name in names - _plain_files(names, folder)}
    for row in rows:
        if missing.get(row.file_path):
            log.add("missing_photo", row.row, row.file_path, f"{missing[row.file_path]} ({folder})")


def _plain_files(names: Iterable[str], folder: Path) -> set[str]:
    """Those of ``names`` that no link leads to, found by listing: ten times as fast as opening."""
    root = os.path.realpath(folder)
    found: set[str] = set()
    for parent in {os.path.dirname(name) for name in names}:
        inner = os.path.normpath(os.path.join(root, parent))
        if os.path.commonpath((root, inner)) != root or os.path.realpath(inner) != inner:
            continue
        try:
            with os.scandir(inner) as entries:
                found |= {
                    os.path.join(parent, entry.name)
                    for entry in entries
                    if entry.is_file(follow_symlinks=False)
                    and entry.stat(follow_symlinks=False).st_size
                }
        except OSError:
            continue
    return found


def _missing(name: str, folder: Path) -> str:
    """Why ``name`` is no photo of ``folder``; empty if it is one."""
    # Two bytes of the file tell that it is there and not empty.
    limits = ImageLimits(roots=(str(folder),), max_bytes=1)
    try:
        data = read_image_file(name, limits)
    except Rejected as rejected:
        if rejected.reason == "too_many_bytes":
            return ""
        if rejected.reason == "forbidden_path":
            return "leads out of the photo folder, or is no file"
        return rejected.detail
    return "" if data else "is an empty file"

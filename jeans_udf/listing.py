"""Which files are a catalog's images: those of a folder, or those that a CSV or Parquet file lists.

Knows no Spark. A folder gives every regular file whose name ends like an image's, whatever its
bytes are: a web page saved as .jpg has to end as a row that says so.
"""

from __future__ import annotations

import csv
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from jeans_udf.errors import TableError, near_miss

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .bmp .dib .tif .tiff .mpo .heic .heif .avif .jxl "
    ".jp2 .j2k .jpx .ico .psd .tga .ppm .pgm .pbm .pnm .svg".split()
)
"""Endings of image files' names, in any case; what cannot be opened is rejected by name later."""

LONGEST_FIELD = 10_000_000

LISTING_COLUMNS = ("path", "image_id", "product_id", "title", "description")


@dataclass(frozen=True)
class SourceFile:
    """One row to be of product_images. ``size`` None: the bytes cannot or must not be read."""

    image_id: str
    product_id: str | None
    path: str
    size: int | None
    updated_at: datetime | None
    title: str | None = None
    description: str | None = None


@dataclass
class Files:
    """What was found, and by reason how many files or columns were passed over."""

    files: list[SourceFile]
    notices: Counter[str] = field(default_factory=Counter)


def list_folder(folder: Path) -> Files:
    """Images below ``folder``; ``image_id`` is the path relative to it, with slashes.

    ``product_id`` is the first folder of that path; directly in ``folder`` the name without its
    ending. Hidden files, and links that lead out of the folder or to a folder, are passed over.
    """
    if not folder.is_dir():
        raise TableError(f"--images {folder}: is no directory; give the folder with the pictures")
    found = Files([])
    root = folder.resolve()
    for path in _walk(root, found.notices):
        relative = path.relative_to(root).as_posix()
        size, moment = _state(path)
        product = relative.split("/")[0] if "/" in relative else path.stem
        found.files.append(
            SourceFile(relative, product, str(path), size, moment)
        )
    return found


def read_listing(listing: Path, roots: Sequence[Path] = ()) -> Files:
    """Images that a CSV or Parquet file names in its column ``path``, relative to its folder.

    Only files below the listing's folder or one of ``roots`` are read, links resolved: a row must
    not bring in other files of this machine. The others keep their path and no bytes.
    """
    table = _read_frame(listing)
    if "path" not in table.columns:
        known = near_miss("path", [str(name) for name in table.columns])
        raise TableError(f"listing {listing}: column 'path' is missing; {known}")
    found = Files([])
    for name in table.columns:
        if name not in LISTING_COLUMNS:
            found.notices[f"column {name!r} of the listing is not used"] += 1
    base = listing.resolve().parent
    allowed = [base, *(root.resolve() for root in roots)]
    for number, row in enumerate(table.to_dict("records"), start=1):
        values = {name: _text(row.get(name)) for name in LISTING_COLUMNS}
        if values["path"] is None:
            raise TableError(f"listing {listing}: row {number}: path is empty, wanted a file")
        found.files.append(_listed(values, base, allowed, found.notices))
    _refuse_doubles(found.files, listing)
    return found


def _walk(root: Path, notices: Counter[str]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        # Sorted, so that two runs over the same folder write the same files in the same order.
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            reason = _passed_over(path, root)
            if reason is None:
                yield path
            else:
                notices[reason] += 1


def _passed_over(path: Path, root: Path) -> str | None:
    if path.name.startswith("."):
        return "hidden file"
    if path.suffix.lower() not in SUFFIXES:
        return "name does not end like an image's"
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return "name is not UTF-8"
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        return "link out of the folder"
    # A pipe or a device would block the reader for ever.
    return None if path.is_file() else "not a regular file"


def _listed(
    values: Mapping[str, str | None], base: Path, allowed: Sequence[Path], notices: Counter[str]
) -> SourceFile:
    text = values["path"]
    assert text is not None
    size, moment, full = None, None, text
    if "://" in text:
        notices["path is an address, not a file: never read"] += 1
    else:
        full = os.path.abspath(base / text)
        real = Path(os.path.realpath(full))
        if any(real.is_relative_to(root) for root in allowed):
            size, moment = _state(real)
            if size is None:
                notices["file is missing: the row keeps its path"] += 1
        else:
            notices["file lies outside the listing's folder and --root: not read"] += 1
    image_id = values["image_id"]
    if image_id is None:
        inside = Path(full).is_relative_to(base)
        image_id = Path(full).relative_to(base).as_posix() if inside else text
    product = values["product_id"]
    title, description = values["title"], values["description"]
    return SourceFile(image_id, product, full, size, moment, title, description)


def _state(path: Path) -> tuple[int | None, datetime | None]:
    try:
        state = path.stat()
    except (OSError, ValueError):
        return None, None
    if not stat.S_ISREG(state.st_mode) or not os.access(path, os.R_OK):
        return None, None
    return state.st_size, _moment(state.st_mtime)


def _read_frame(listing: Path) -> pd.DataFrame:
    try:
        if listing.suffix.lower() == ".parquet":
            return pd.read_parquet(listing)
        if listing.suffix.lower() == ".csv":
            return _read_csv(listing)
    except OSError as error:
        raise TableError(f"listing {listing}: cannot be read ({error.strerror or error})") from None
    except (ValueError, csv.Error) as error:  # bad UTF-8, bad Parquet, bad CSV
        raise TableError(f"listing {listing}: {str(error).splitlines()[0]}") from None
    raise TableError(f"listing {listing}: wanted a file named .csv or .parquet")


def _read_csv(listing: Path) -> pd.DataFrame:
    """Strict: pandas takes a surplus field for an index and moves every column by one."""
    csv.field_size_limit(LONGEST_FIELD)
    with listing.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        rows = []
        for row in reader:
            if row and len(row) != len(header):
                raise TableError(
                    f"listing {listing}: line {reader.line_num} has {len(row)} fields, wanted the "
                    f"header's {len(header)}; quote fields that hold a comma"
                )
            if row:
                rows.append(row)
    return pd.DataFrame(rows, columns=header, dtype=object)


def _refuse_doubles(files: Sequence[SourceFile], listing: Path) -> None:
    counts = Counter(file.image_id for file in files)
    doubles = [image_id for image_id, count in counts.items() if count > 1]
    if doubles:
        raise TableError(
            f"listing {listing}: {len(doubles)} image_id stand there more than once, as "
            f"{', '.join(map(repr, doubles[:3]))}; image_id is the key: keep one row of each"
        )


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, float) and value != value):
        return None
    return str(value) or None


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""A folder of square crops as PNG, with an index of what each shows."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jeans_udf.errors import ConfigError
from jeans_udf.strict_json import write_json

INDEX = "index.json"


@dataclass(frozen=True)
class Crop:
    """A crop's PNG file, its category (``none``; None where it is not known) and its labels."""

    file: Path
    category: str | None
    labels: tuple[str, ...]
    photo: str = ""
    """The photo that it is of, below its folder."""
    others: tuple[Path, ...] = ()
    """The same garment in the other views."""

    @property
    def targets(self) -> list[str]:
        """What the classifier should say, in the words of `output_names`."""
        return [*self.labels, *([f"category:{self.category}"] if self.category else [])]


Square = tuple[str, str | None, tuple[str, ...], str, Sequence[np.ndarray]]
"""Name, category, labels, photo and the picture in each view, (size, size, 3) uint8 RGB."""


@dataclass(frozen=True)
class CropFolder:
    """Where crops of one set lie, and how they were cut."""

    place: Path
    views: tuple[str, ...]
    size: int
    source: str = ""
    """`digest` of what they are cut from, so that labels that were mended are read anew."""

    def fill(self, squares: Iterable[Square]) -> list[Crop]:
        """Write each garment's squares, unless it was all done before.

        Names must differ. ``squares`` is not begun when the folder is finished. Raises
        `ConfigError` where the folder cannot be written.
        """
        finished = self._read()
        if finished is not None:
            return finished
        # Beside its place until it is whole: members of a recipe may be trained at the same time.
        fresh = self.place.with_name(f"{self.place.name}.{uuid.uuid4().hex}.new")
        try:
            fresh.mkdir(parents=True)
            self._write(squares, fresh)
            finished = self._read()
            if finished is None:
                shutil.rmtree(self.place, ignore_errors=True)
                fresh.rename(self.place)
                finished = self._read()
        except OSError as error:
            raise ConfigError(f"crops {self.place}: cannot be made ({error.strerror})") from None
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        assert finished is not None, "the name of a crop leads out of its folder"
        return finished

    def _write(self, squares: Iterable[Square], folder: Path) -> None:
        rows = []
        for name, category, labels, photo, pictures in squares:
            for view, picture in zip(self.views, pictures, strict=True):
                file = folder / self._file(name, view).name
                Image.fromarray(picture).save(file, compress_level=1)
            rows.append((name, category, labels, photo))
        write_json(folder / INDEX, {**self._settings, "crops": rows})

    def _file(self, name: str, view: str) -> Path:
        return self.place / f"{name}_{view}.png"

    def _crop(self, name: str, category: str | None, labels: Iterable[str], photo: str) -> Crop:
        first, *others = (self._file(name, view) for view in self.views)
        return Crop(first, category, tuple(labels), photo, tuple(others))

    @property
    def _settings(self) -> dict[str, object]:
        return {"views": list(self.views), "size": self.size, "source": self.source}

    def _read(self) -> list[Crop] | None:
        """The crops of a whole finished folder of the same settings."""
        try:
            index = json.loads((self.place / INDEX).read_text(encoding="utf-8"))
            if {key: index.get(key) for key in self._settings} != self._settings:
                return None
            crops = [self._crop(*row) for row in index["crops"]]
        # Cut off or changed by hand: it is cut again.
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None
        files = [file for crop in crops for file in (crop.file, *crop.others)]
        whole = all(file.parent == self.place and file.is_file() for file in files)
        return crops if whole else None


def digest(*values: Any) -> str:
    """Hex sha256 of ``values``, which JSON or `repr` can tell apart."""
    return hashlib.sha256(json.dumps(values, default=repr).encode()).hexdigest()

"""A folder of square crops as PNG, with an index of what each shows."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
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

    @property
    def targets(self) -> list[str]:
        """What the classifier should say, in the words of `output_names`."""
        return [*self.labels, *([f"category:{self.category}"] if self.category else [])]


@dataclass(frozen=True)
class CropFolder:
    """Where crops of one set lie, and how they were cut."""

    place: Path
    view: str
    size: int
    source: str = ""
    """`digest` of what they are cut from, so that labels that were mended are read anew."""

    def fill(
        self, squares: Iterable[tuple[str, str | None, tuple[str, ...], str, np.ndarray]]
    ) -> list[Crop]:
        """Write (name, category, labels, photo, pixels) each, unless it was all done before.

        Names must differ. ``squares`` is not begun when the folder is finished. Raises
        `ConfigError` where the folder cannot be written.
        """
        finished = self._read()
        if finished is not None:
            return finished
        shutil.rmtree(self.place, ignore_errors=True)
        try:
            self.place.mkdir(parents=True)
        except OSError as error:
            raise ConfigError(f"crops {self.place}: cannot be made ({error.strerror})") from None
        crops = []
        for name, category, labels, photo, square in squares:
            file = self.place / f"{name}.png"
            try:
                Image.fromarray(square).save(file, compress_level=1)
            except OSError as error:
                raise ConfigError(f"crop {file}: cannot be written ({error.strerror})") from None
            crops.append(Crop(file, category, labels, photo))
        rows = [(c.file.name, c.category, c.labels, c.photo) for c in crops]
        write_json(self._index, {**self._settings, "crops": rows})
        return crops

    @property
    def _index(self) -> Path:
        return self.place / INDEX

    @property
    def _settings(self) -> dict[str, object]:
        return {"view": self.view, "size": self.size, "source": self.source}

    def _read(self) -> list[Crop] | None:
        """The crops of a whole finished folder of the same settings."""
        try:
            index = json.loads(self._index.read_text(encoding="utf-8"))
            if {key: index.get(key) for key in self._settings} != self._settings:
                return None
            crops = [
                Crop(self.place / name, category, tuple(labels), photo)
                for name, category, labels, photo in index["crops"]
            ]
        # Cut off or changed by hand: it is cut again.
        except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
            return None
        whole = all(crop.file.parent == self.place and crop.file.is_file() for crop in crops)
        return crops if whole else None


def digest(*values: Any) -> str:
    """Hex sha256 of ``values``, which JSON or `repr` can tell apart."""
    return hashlib.sha256(json.dumps(values, default=repr).encode()).hexdigest()

"""A folder of square crops as PNG, with an index of what each shows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

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

    def fill(
        self, squares: Iterable[tuple[str, str | None, tuple[str, ...], str, np.ndarray]]
    ) -> list[Crop]:
        """Write (name, category, labels, photo, pixels) each, unless it was all done before.

        Names must differ. ``squares`` is not begun when the folder is finished.
        """
        finished = self._read()
        if finished is not None:
            return finished
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        crops = []
        for name, category, labels, photo, square in squares:
            file = self.place / f"{name}.png"
            Image.fromarray(square).save(file, compress_level=1)
            crops.append(Crop(file, category, labels, photo))
        rows = [(c.file.name, c.category, c.labels, c.photo) for c in crops]
        self._index.write_text(json.dumps({**self._settings, "crops": rows}))
        return crops

    @property
    def _index(self) -> Path:
        return self.place / INDEX

    @property
    def _settings(self) -> dict[str, object]:
        return {"view": self.view, "size": self.size}

    def _read(self) -> list[Crop] | None:
        """The crops of a finished folder of the same settings."""
        if not self._index.is_file():
            return None
        index = json.loads(self._index.read_text())
        if {key: index.get(key) for key in self._settings} != self._settings:
            return None
        return [
            Crop(self.place / name, category, tuple(labels), photo)
            for name, category, labels, photo in index["crops"]
        ]

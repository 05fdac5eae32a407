"""The demo catalog: products with their pictures, odd files that are fine, and broken ones."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from jeans_udf.drawing.broken import BROKEN
from jeans_udf.drawing.dataset import save_picture
from jeans_udf.drawing.noise import Rng
from jeans_udf.drawing.plan import CATEGORIES, choose, make_plan
from jeans_udf.drawing.scene import NEGATIVES, DrawnPicture, draw_picture
from jeans_udf.drawing.words import words
from jeans_udf.errors import ConfigError

COLUMNS = ("image_id", "product_id", "path", "title", "description")
FIRST_PRODUCT = 1001


def _cmyk(picture: DrawnPicture, path: Path) -> None:
    Image.fromarray(picture.image).convert("CMYK").save(path, quality=88)


def _palette(picture: DrawnPicture, path: Path) -> None:
    Image.fromarray(picture.image).quantize(128).save(path)


def _grey16(picture: DrawnPicture, path: Path) -> None:
    grey = np.asarray(Image.fromarray(picture.image).convert("L"), np.uint16) * 257
    Image.fromarray(grey).save(path)


def _cutout(picture: DrawnPicture, path: Path) -> None:
    """The garment alone, its surroundings transparent, as shops store cut-out pictures."""
    seen = np.zeros(picture.image.shape[:2], bool)
    for garment in picture.garments:
        seen |= garment.mask
    alpha = (seen * 255).astype(np.uint8)[..., None]
    Image.fromarray(np.concatenate([picture.image, alpha], 2)).save(path)


def _turned(picture: DrawnPicture, path: Path) -> None:
    """Stored lying on its side; the EXIF orientation (6) says how to set it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = Image.fromarray(np.ascontiguousarray(np.rot90(picture.image)))
    sideways.save(path, quality=90, exif=exif)


def _progressive(picture: DrawnPicture, path: Path) -> None:
    Image.fromarray(picture.image).save(path, quality=85, progressive=True)


def _webp(picture: DrawnPicture, path: Path) -> None:
    Image.fromarray(picture.image).save(path, quality=82)


ODD: dict[str, Callable[[DrawnPicture, Path], None]] = {
    "cmyk.jpg": _cmyk,
    "palette.png": _palette,
    "grey16.png": _grey16,
    "cutout.png": _cutout,
    "exif_rotated.jpg": _turned,
    "progressive.jpg": _progressive,
    "front.webp": _webp,
}
"""Valid files of unusual kinds; a reader must show each upright and in the right colours."""


@dataclass
class _Shelf:
    """Where the catalog stands: its directory, the next product, the rows so far."""

    directory: Path
    rows: list[tuple[str, ...]] = field(default_factory=list)
    number: int = FIRST_PRODUCT

    def product(self) -> str:
        product_id = f"P{self.number}"
        self.number += 1
        (self.directory / product_id).mkdir(parents=True, exist_ok=True)
        return product_id

    def enter(self, product_id: str, name: str, text: tuple[str, str]) -> Path:
        image_id = f"{product_id}/{name}"
        self.rows.append((image_id, product_id, image_id, *text))
        return self.directory / image_id


def draw_catalog(directory: str | Path, count: int = 72, seed: int = 7) -> Path:
    """Write ``count`` files in a folder a product, and ``products.csv``; returns ``directory``.

    Among them are every kind of `ODD` and of `BROKEN`; about one product in six is no bottom
    garment. ``image_id`` in the listing is the file's path relative to ``directory``.
    """
    least = len(ODD) + len(BROKEN) + 1
    if count < least:
        raise ConfigError(f"draw_catalog: got count {count}; wanted at least {least}")
    shelf = _Shelf(Path(directory))
    plain = count - len(ODD) - len(BROKEN)
    while len(shelf.rows) < plain:
        rng = np.random.default_rng((seed, shelf.number))
        last = len(shelf.rows) == plain - 1
        if rng.random() < 0.17:
            _other_product(shelf, rng)
        else:
            _product(shelf, rng, pictures=1 if last or rng.random() < 0.45 else 2)
    for name, save in ODD.items():
        _odd_product(shelf, np.random.default_rng((seed, shelf.number)), name, save)
    for name, (_, make) in BROKEN.items():
        rng = np.random.default_rng((seed, shelf.number))
        picture = draw_picture(rng, kind="jeans", size=(360, 480))
        path = shelf.enter(shelf.product(), name, (picture.title, picture.description))
        path.write_bytes(make(picture.image))
    with (shelf.directory / "products.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(shelf.rows)
    return shelf.directory


def _product(shelf: _Shelf, rng: Rng, pictures: int) -> None:
    category, look = choose(rng, CATEGORIES), int(rng.integers(2**62))
    text = words(rng, category, (make_plan(np.random.default_rng(look), category, "flat", {}),))
    product_id = shelf.product()
    front = "worn" if rng.random() < 0.35 else "flat"
    second = "detail.png" if rng.random() < 0.4 else "look.jpg"
    for name in ("front.jpg", second)[:pictures]:
        other = "worn" if front == "flat" else "flat"
        view = {"front.jpg": front, "detail.png": "flat"}.get(name, other)
        picture = draw_picture(
            rng, kind=category, view=view, close_up=name == "detail.png", look=look
        )
        save_picture(picture.image, shelf.enter(product_id, name, text), rng)


def _other_product(shelf: _Shelf, rng: Rng) -> None:
    picture = draw_picture(rng, kind=choose(rng, NEGATIVES))
    path = shelf.enter(shelf.product(), "front.jpg", (picture.title, picture.description))
    save_picture(picture.image, path, rng)


def _odd_product(
    shelf: _Shelf, rng: Rng, name: str, save: Callable[[DrawnPicture, Path], None]
) -> None:
    picture = draw_picture(rng, kind="jeans", view="flat", close_up=False)
    text = (picture.title, picture.description)
    save(picture, shelf.enter(shelf.product(), name, text))

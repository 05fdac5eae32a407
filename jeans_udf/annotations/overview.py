"""A contact sheet of imported photos with their masks, to see that they lie where they should."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from jeans_udf.annotations.checked import CheckedPhoto
from jeans_udf.annotations.faults import printable
from jeans_udf.config import ImageLimits
from jeans_udf.geometry import decode_rle, mask_box
from jeans_udf.images import decode_image
from jeans_udf.paths import read_image_file
from jeans_udf.report.colours import category_colours, rgb
from jeans_udf.report.pictures import shrink, tint

MOST = 12
COLUMNS = 4
TILE = 320
"""Side of a tile's picture, in pixels."""
CAPTION = 22
"""Height of the line with the photo's name."""


def write_overview(path: Path, photos: Sequence[CheckedPhoto], categories: Sequence[str]) -> None:
    """Up to `MOST` photos as one PNG, each category shown if it can be."""
    chosen = choose(photos, categories)
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    sheet = Image.new("RGB", (columns * TILE, rows * (TILE + CAPTION)), "white")
    colours = {name: rgb(colour) for name, colour in category_colours(categories).items()}
    for number, photo in enumerate(chosen):
        corner = (number % columns * TILE, number // columns * (TILE + CAPTION))
        tile = _tile(photo, colours)
        left, top = (TILE - tile.width) // 2, (TILE - tile.height) // 2
        sheet.paste(tile, (corner[0] + left, corner[1] + CAPTION + top))
        caption = f"{photo.split}: {printable(photo.file.name)}"
        ImageDraw.Draw(sheet).text(
            (corner[0] + 4, corner[1] + 4), _fitting(caption, TILE - 8), "black", _font(13)
        )
    sheet.save(path, "PNG")


def choose(photos: Sequence[CheckedPhoto], categories: Sequence[str]) -> list[CheckedPhoto]:
    """One photo of each category in turn until `MOST` are found, and one negative."""
    # In an order by chance that is always the same, so that both splits are seen.
    photos = sorted(photos, key=lambda photo: photo.file.sha256)
    waiting = [[p for p in photos if name in p.categories] for name in categories]
    waiting.append([photo for photo in photos if not photo.garments][:1])
    chosen: list[CheckedPhoto] = []
    while any(waiting) and len(chosen) < MOST:
        for queue in waiting:
            while queue and any(queue[0] is photo for photo in chosen):
                queue.pop(0)
            if queue and len(chosen) < MOST:
                chosen.append(queue.pop(0))
    return chosen


def _tile(photo: CheckedPhoto, colours: dict[str, tuple[int, int, int]]) -> Image.Image:
    limits = ImageLimits(roots=(str(photo.folder),))
    pixels = decode_image(read_image_file(photo.file.name, limits), limits)
    tile = Image.fromarray(shrink(pixels, TILE)).convert("RGBA")
    masks = [decode_rle(garment.rle) for garment in photo.garments]
    painted = [colours[garment.category] for garment in photo.garments]
    layer = Image.fromarray(tint(tile.height, tile.width, masks, painted))
    tile = Image.alpha_composite(tile, layer).convert("RGB")
    draw = ImageDraw.Draw(tile)
    for garment, mask, colour in zip(photo.garments, masks, painted, strict=True):
        box = mask_box(mask)
        assert box is not None, "an empty mask is a fault"
        name = "crowd: " * garment.listed.crowd + garment.category
        wide = int(draw.textlength(name, _font(13))) + 6
        x = min(int(box[0] * tile.width / mask.shape[1]), tile.width - wide)
        # Above the garment, so that a small one is not hidden.
        y = max(0, int(box[1] * tile.height / mask.shape[0]) - 18)
        draw.rectangle((x, y, x + wide - 1, y + 17), fill=colour)
        draw.text((x + 3, y + 1), name, "white", _font(13))
    return tile


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitting(text: str, width: int) -> str:
    """``text``, its beginning left out where it is too wide: names differ at the end."""
    font = _font(13)
    shown = text
    while font.getlength(shown) > width and len(text) > 1:
        text = text[1:]
        shown = "..." + text
    return shown

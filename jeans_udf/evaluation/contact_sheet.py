"""A sheet of equal tiles, a picture with a few lines of text below each, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jeans_udf.report.page import plain_text

INK, GREY, PAPER = "#1c2430", "#566070", "#eef0f3"
"""Of text, of text that matters less, and beside pictures that are not square."""
GAP, TITLE_SIZE, TEXT_SIZE, ROW_HEIGHT = 14, 19, 13, 17
"""Pixels."""
LINE_ROWS, TILE_ROWS = 4, 12
"""Rows that one line, and all lines of a tile, are wrapped into at most."""

Line = tuple[str, str]
"""Text, and its colour as ``#rrggbb``."""


@dataclass(frozen=True)
class Tile:
    """``picture (h, w, 3) uint8`` RGB of any size, and the lines below it."""

    picture: np.ndarray
    lines: tuple[Line, ...]


def draw_sheet(
    tiles: Sequence[Tile],
    title: str,
    path: Path,
    columns: int = 6,
    side: int = 224,
    legend: Sequence[Line] = (),
) -> Path:
    """Write ``tiles`` row by row below ``title`` and ``legend`` as PNG; returns ``path``.

    Pictures are scaled to fit a square of ``side`` pixels. Text stays within its tile's width: it
    is wrapped, then cut. Without tiles the sheet says that there are none.
    """
    columns = min(columns, max(len(tiles), 2))
    width = GAP + columns * (side + GAP)
    bands = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    texts = [[_rows(tile, side) for tile in band] for band in bands]
    heights = [side + 5 + ROW_HEIGHT * max(map(len, rows)) + GAP for rows in texts]
    head = _head(title, legend if tiles else [("There is nothing to show.", GREY)], width)
    sheet = Image.new("RGB", (width, head.height + sum(heights) + GAP), "white")
    sheet.paste(head, (0, 0))
    top = head.height
    for band, rows, height in zip(bands, texts, heights, strict=True):
        for column, (tile, lines) in enumerate(zip(band, rows, strict=True)):
            left = GAP + column * (side + GAP)
            sheet.paste(_fitted(tile.picture, side), (left, top))
            for number, (text, colour) in enumerate(lines):
                place = (left, top + side + 5 + number * ROW_HEIGHT)
                sheet.paste(_lettered(text, colour, TEXT_SIZE, side, ROW_HEIGHT), place)
        top += height
    sheet.save(path, "PNG")
    return path


def wrap(text: str, size: int, width: int, most: int) -> list[str]:
    """``text`` in at most ``most`` rows of ``width`` pixels, broken at spaces where there are some.

    Control and direction characters are left out; what does not fit ends in an ellipsis.
    """
    rows: list[str] = []
    rest = plain_text(text).strip()
    while rest:
        count = _fitting(rest, size, width)
        if len(rows) == most - 1 or count == len(rest):
            return [*rows, cut(rest, size, width)]
        space = rest.rfind(" ", 1, count + 1)
        count = space if space > 0 else count
        rows.append(rest[:count].rstrip())
        rest = rest[count:].lstrip()
    return rows


def cut(text: str, size: int, width: int) -> str:
    """``text`` if it is at most ``width`` pixels wide, else its beginning and an ellipsis."""
    if font(size).getlength(text) <= width:
        return text
    room = width - font(size).getlength("…")
    return text[: _fitting(text, size, room)].rstrip() + "…"


@cache
def font(size: int) -> Any:
    """Letters of ``size`` pixels."""
    # Pillow's own font has Latin letters only; file names are of any script.
    file = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(file, size)


def _fitting(text: str, size: int, width: float) -> int:
    """How many first characters are at most ``width`` pixels wide; at least one."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font(size).getlength(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return low


def _rows(tile: Tile, side: int) -> list[Line]:
    rows = [
        (row, colour)
        for text, colour in tile.lines
        for row in wrap(text, TEXT_SIZE, side, LINE_ROWS)
    ]
    return rows if len(rows) <= TILE_ROWS else [*rows[: TILE_ROWS - 1], ("…", GREY)]


def _head(title: str, legend: Sequence[Line], width: int) -> Image.Image:
    """Title and legend; the legend's entries stand beside each other while there is room."""
    room = width - 2 * GAP
    titles = wrap(title, TITLE_SIZE, room, 2)
    places, left, row = [], 0, 0
    for text, colour in legend:
        text = cut(plain_text(text), TEXT_SIZE, room)
        size = int(font(TEXT_SIZE).getlength(text)) + 1
        if left and left + size > room:
            left, row = 0, row + 1
        places.append((left, row, size, text, colour))
        left += size + 2 * GAP
    top = GAP + 26 * len(titles)
    below = ROW_HEIGHT * (row + 1) + 8 if places else 4
    head = Image.new("RGB", (width, top + below), "white")
    for number, text in enumerate(titles):
        head.paste(_lettered(text, INK, TITLE_SIZE, room, 26), (GAP, GAP + 26 * number))
    for left, row, size, text, colour in places:
        letters = _lettered(text, colour, TEXT_SIZE, size, ROW_HEIGHT)
        head.paste(letters, (GAP + left, top + ROW_HEIGHT * row))
    return head


def _lettered(text: str, colour: str, size: int, width: int, height: int) -> Image.Image:
    """Apart, so that marks that some scripts pile onto a letter cannot reach what is beside it."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).text((0, 0), text, colour, font=font(size))
    return image


def _fitted(picture: np.ndarray, side: int) -> Image.Image:
    """``picture`` in the middle of a square, as large as it fits; nothing where it has no pixel."""
    square = Image.new("RGB", (side, side), PAPER)
    if not picture.size:
        return square
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    square.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square

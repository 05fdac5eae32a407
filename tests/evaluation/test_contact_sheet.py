from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jeans_udf.evaluation.contact_sheet import (
    GAP,
    GREY,
    INK,
    LINE_ROWS,
    PAPER,
    ROW_HEIGHT,
    TEXT_SIZE,
    TILE_ROWS,
    Tile,
    cut,
    draw_sheet,
    font,
    wrap,
)
from jeans_udf.report.colours import rgb

HOSTILE = ("W" * 300, "two words " * 90, "\n\n\t\x00\u202eabc\ud800", "Z" + "\u0323" * 200,
           "o" + "\u0302\u0303" * 100, "画像" * 99, " ", "")  # fmt: skip


def _plain(colour: tuple[int, int, int], height: int = 20, width: int = 20) -> np.ndarray:
    return np.full((height, width, 3), colour, dtype=np.uint8)


def _drawn(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        return np.asarray(image)


def _place(sheet: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the pixels of exactly that colour; right and bottom are past."""
    rows, columns = np.nonzero((sheet == colour).all(axis=2))
    assert rows.size, colour
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_tiles_are_equal_squares_row_by_row(tmp_path: Path) -> None:
    colours = [(30 * k, 200 - 20 * k, 90) for k in range(7)]
    tiles = [Tile(_plain(colour), (("a", INK),)) for colour in colours]
    path = draw_sheet(tiles, "title", tmp_path / "sheet.png", columns=3, side=50)
    sheet = _drawn(path)
    assert path == tmp_path / "sheet.png" and sheet.shape[1] == GAP + 3 * (50 + GAP)
    places = [_place(sheet, colour) for colour in colours]
    for number, (left, top, right, bottom) in enumerate(places):
        assert (right - left, bottom - top) == (50, 50)
        assert left == GAP + number % 3 * (50 + GAP)
        assert top == places[number // 3 * 3][1], "tiles of a row are at one height"
    step = places[3][1] - places[0][1]
    assert places[6][1] == places[3][1] + step and step >= 50 + ROW_HEIGHT


def test_text_is_below_its_tile_in_its_colour(tmp_path: Path) -> None:
    tiles = [Tile(_plain((9, 9, 9)), (("dark", "#aa0000"), ("blue", "#0000aa"))),
             Tile(_plain((80, 80, 80)), (("other", "#00aa00"),))]  # fmt: skip
    sheet = _drawn(draw_sheet(tiles, "title", tmp_path / "sheet.png", side=60))
    assert sheet.shape[1] == GAP + 2 * (60 + GAP), "no wider than what there is"
    _, _, _, bottom = _place(sheet, (9, 9, 9))
    red, blue, green = (_place(sheet, rgb(c)) for c in ("#aa0000", "#0000aa", "#00aa00"))
    assert GAP <= red[0] and red[2] <= GAP + 60 and red[1] >= bottom
    assert blue[1] >= red[3], "the second line is below the first"
    assert green[0] >= 2 * GAP + 60


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_reaches_its_neighbour_or_the_next_row(tmp_path: Path, text: str) -> None:
    quiet = Tile(_plain((80, 80, 80)), ())
    loud = Tile(_plain((9, 9, 9)), ((text, INK),) * 20)
    last = Tile(_plain((1, 200, 1)), ())
    sheet = _drawn(draw_sheet([quiet, loud, quiet, last], "t", tmp_path / "sheet.png", 3, side=90))
    left, _, right, bottom = _place(sheet, (9, 9, 9))
    end = _place(sheet, (1, 200, 1))[1]
    assert (sheet[bottom - 90 : bottom, left:right] == 9).all(), "nor on the picture"
    below = sheet[bottom:end]
    assert (below[:, :left] == 255).all() and (below[:, right:] == 255).all()
    assert (below[-GAP + 1 :] == 255).all(), "nor the tile in the row below"
    assert end - bottom <= TILE_ROWS * ROW_HEIGHT + 2 * GAP
    if text.strip():
        assert (below != 255).any()


def test_a_title_of_any_length_stays_on_the_sheet(tmp_path: Path) -> None:
    tiles = [Tile(_plain((9, 9, 9)), ())]
    legend = [("yes " * 200, "#aa0000"), ("no", "#0000aa"), ("\n", INK)]
    sheet = _drawn(draw_sheet(tiles, "W" * 999, tmp_path / "s.png", side=90, legend=legend))
    assert (sheet[:, :GAP] == 255).all() and (sheet[:, -GAP:] == 255).all()
    assert _place(sheet, (170, 0, 0))[3] <= _place(sheet, (0, 0, 170))[1], "on the next row"


def test_pictures_of_any_shape_keep_it(tmp_path: Path) -> None:
    shapes = {(200, 1, 1): (40, 20), (1, 200, 1): (7, 700), (1, 1, 200): (300, 1)}
    tiles = [Tile(_plain(colour, *shape), ()) for colour, shape in shapes.items()]
    tiles += [Tile(np.zeros((0, side, 3), dtype=np.uint8), ()) for side in (0, 5)]
    sheet = _drawn(draw_sheet(tiles, "t", tmp_path / "sheet.png", side=100))
    sizes = [(b - t, r - x) for x, t, r, b in (_place(sheet, colour) for colour in shapes)]
    assert sizes == [(100, 50), (1, 100), (100, 1)]
    left, _, right, _ = _place(sheet, (200, 1, 1))
    assert (left, right) == (GAP + 25, GAP + 75), "in the middle"
    blank = sheet[-2 * GAP - 50, -GAP - 214 : -GAP]
    assert {tuple(p) for p in blank} == {rgb(PAPER), (255, 255, 255)}, "without pixels: a blank"


def test_a_sheet_without_tiles_says_so(tmp_path: Path) -> None:
    empty = _drawn(draw_sheet([], "title", tmp_path / "empty.png", side=100))
    title, said = _place(empty, rgb(INK)), _place(empty, rgb(GREY))
    assert title[3] <= said[1], "below the title"
    columns = np.flatnonzero((empty[title[3] :] != 255).any(axis=(0, 2)))
    length = font(TEXT_SIZE).getlength("There is nothing to show.")
    assert np.ptp(columns) == pytest.approx(length, abs=3), "the whole sentence"


def test_lines_are_broken_at_spaces_and_cut_at_last() -> None:
    width = int(font(13).getlength("medium, straight"))
    assert wrap("medium, straight, cuffed", 13, width + 3, 4) == ["medium,", "straight, cuffed"]
    assert wrap("medium, straight", 13, width + 3, 4) == ["medium, straight"]
    assert wrap("medium,\u00a0straight", 13, width - 9, 4)[0].startswith("medium,\u00a0strai")
    rows = wrap("x" * 200, 13, width, LINE_ROWS)
    assert len(rows) == LINE_ROWS and rows[-1].endswith("…") and rows[0].strip("x") == ""
    assert all(font(13).getlength(row) <= width for row in rows)
    assert wrap("a \x00\u202e\n", 13, width, 4) == ["a"] and wrap("", 13, width, 4) == []


def test_cutting_keeps_as_much_as_fits() -> None:
    assert cut("short", 13, 200) == "short"
    kept = cut("x" * 99, 13, 80)
    assert kept.endswith("x…") and font(13).getlength(kept) <= 80
    assert font(13).getlength("x" + kept) > 80

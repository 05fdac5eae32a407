from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jeans_udf.evaluation import label_gallery
from jeans_udf.evaluation.contact_sheet import GAP, GREY, INK, Tile
from jeans_udf.evaluation.label_gallery import (
    LEGEND,
    MISSED,
    MOST,
    RIGHT,
    WRONG,
    label_lines,
    show_batch,
    show_results,
    top_losses,
)
from jeans_udf.report.colours import rgb

SIDE = 224
NBSP = "\u00a0"


def _crops(count: int) -> np.ndarray:
    """Crop k is of the one colour (k, 100, 50)."""
    crops = np.zeros((count, 16, 16, 3), dtype=np.uint8)
    crops[..., 0] = np.arange(count)[:, None, None]
    crops[..., 1:] = 100, 50
    return crops


def _drawn(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _tops(sheet: np.ndarray) -> list[int]:
    """Where the rows of pictures begin."""
    inside = (sheet[:, GAP + 1, 1:] == (100, 50)).all(axis=1)
    return np.flatnonzero(inside & ~np.roll(inside, 1)).tolist()


def _shown(sheet: np.ndarray) -> list[int]:
    """The numbers of the crops, row by row."""
    columns = range(GAP + SIDE // 2, sheet.shape[1], SIDE + GAP)
    places = [(top + SIDE // 2, column) for top in _tops(sheet) for column in columns]
    return [int(sheet[place][0]) for place in places if tuple(sheet[place][1:]) == (100, 50)]


def _has(pixels: np.ndarray, colour: str) -> bool:
    return bool((pixels == rgb(colour)).all(axis=2).any())


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> list[Tile]:
    """What was put onto sheets."""
    kept: list[Tile] = []
    draw = label_gallery.draw_sheet

    def keep(some: Sequence[Tile], *arguments: object, **named: object) -> Path:
        kept.extend(some)
        return draw(some, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(label_gallery, "draw_sheet", keep)
    return kept


def test_right_wrong_and_missed_by_hand() -> None:
    assert label_lines(["dark", "raw_hem", "full"], ["slim", "full", "dark"]) == (
        (f"✓{NBSP}dark, full", RIGHT),
        (f"+{NBSP}slim", WRONG),
        (f"−{NBSP}raw{NBSP}hem", MISSED),
    )
    assert label_lines(["a", "a"], ["a"]) == ((f"✓{NBSP}a", RIGHT),)
    assert label_lines([], []) == (("no labels, and none said", GREY),)


def test_colours_can_be_read_and_told_apart_without_seeing_hues() -> None:
    def luminance(colour: str) -> float:
        # As WCAG 2 has it.
        parts = np.array(rgb(colour)) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722))

    values = [luminance(colour) for colour in (WRONG, RIGHT, MISSED)]
    assert all(1.05 / (value + 0.05) >= 4.5 for value in values), "contrast with white"
    lightness = [116 * value ** (1 / 3) - 16 for value in values]
    assert lightness[1] - lightness[0] > 8 and lightness[2] - lightness[1] > 8
    assert len({text[0] for text, _ in LEGEND}) == 3, "and a sign each"


def test_only_the_crop_with_an_error_has_its_colour(tmp_path: Path) -> None:
    wanted = [["dark"], ["dark"], ["dark", "full"]]
    said = [["dark"], ["dark", "slim"], ["dark"]]
    sheet = _drawn(show_results(_crops(3), wanted, said, tmp_path / "results.png"))
    (top,) = _tops(sheet)
    for text, colour in LEGEND:
        assert _has(sheet[:top], colour), text
    for place, number in enumerate(_shown(sheet)):
        left = GAP + place * (SIDE + GAP)
        below = sheet[top + SIDE :, left : left + SIDE]
        assert _has(below, RIGHT)
        assert _has(below, WRONG) == (number == 1)
        assert _has(below, MISSED) == (number == 2)


def test_crops_are_chosen_by_the_seed_and_each_once(tmp_path: Path) -> None:
    count = 60
    labels = [[f"label_{k}"] for k in range(count)]
    asked: list[int] = []

    def picture(index: int) -> np.ndarray:
        asked.append(index)
        return _crops(count)[index]

    paths = [show_results(pictures, labels, labels, tmp_path / f"{k}.png", seed)
             for k, (pictures, seed) in enumerate([(_crops(count), 3), (picture, 3),
                                                   (_crops(count), 4)])]  # fmt: skip
    first, second, third = (_drawn(path) for path in paths)
    assert (first == second).all() and len(asked) == MOST, "no more are read than are shown"
    assert _shown(second) == asked and len(set(asked)) == MOST
    assert set(_shown(third)) != set(asked)


def test_a_chosen_crop_has_its_own_labels(tmp_path: Path, tiles: list[Tile]) -> None:
    labels = [[f"l{k}"] for k in range(60)]
    show_results(_crops(60), labels, labels, tmp_path / "results.png")
    assert [tile.lines for tile in tiles] == [
        ((f"✓{NBSP}l{tile.picture[0, 0, 0]}", RIGHT),) for tile in tiles
    ]


def test_the_worst_crop_comes_first(tmp_path: Path, tiles: list[Tile]) -> None:
    losses = np.array([0.5, 2.25, 0.1, np.nan, 2.25, 0.7], dtype=np.float32)
    wanted, said = [["dark"]] * 6, [["light"]] * 6
    names = [f"photo_{k}.png" for k in range(6)]
    path = top_losses(_crops(6), wanted, said, losses, names, tmp_path / "top.png", count=5)
    assert _shown(_drawn(path)) == [3, 1, 4, 5, 0], "no number is the worst, equals stay in order"
    assert tiles[0].lines[0] == ("1.  loss nan", INK)
    assert tiles[1].lines == (
        ("2.  loss 2.250", INK),
        ("photo_1.png", GREY),
        (f"+{NBSP}light", WRONG),
        (f"−{NBSP}dark", MISSED),
    )


def test_a_batch_is_shown_from_its_beginning_with_labels(
    tmp_path: Path, tiles: list[Tile]
) -> None:
    labels = [[], *[["raw_hem", "dark"]] * 29]
    sheet = _drawn(show_batch(_crops(30), labels, tmp_path / "batch.png"))
    assert _shown(sheet) == list(range(MOST))
    assert tiles[0].lines == (("no labels", GREY),)
    assert tiles[1].lines == ((f"raw{NBSP}hem, dark", INK),)
    assert show_batch(lambda k: _crops(30)[k], labels, tmp_path / "again.png").read_bytes() == (
        tmp_path / "batch.png"
    ).read_bytes()


def test_hostile_names_stay_below_their_crop(tmp_path: Path) -> None:
    long = ["x" * 300, *(f"label_{k}" for k in range(200))]
    name = "../<b>\n\u202e" + "\ud800" + "n" * 5000 + ".png"
    path = top_losses(_crops(2), [long, []], [[], long[:2]], np.array([2.0, 1.0]), [name, ""],
                      tmp_path / "top.png")  # fmt: skip
    sheet = _drawn(path)
    (top,) = _tops(sheet)
    gap = sheet[top + SIDE :, GAP + SIDE : 2 * GAP + SIDE]
    assert (gap == 255).all() and sheet.shape[0] < 800
    assert _has(sheet[top:, : GAP + SIDE], MISSED) and not _has(sheet[top:, : GAP + SIDE], WRONG)


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    nothing = np.zeros((0, 8, 8, 3), dtype=np.uint8)
    for path in (
        show_batch(nothing, [], tmp_path / "a.png"),
        show_results(nothing, [], [], tmp_path / "b.png"),
        top_losses(nothing, [], [], np.zeros(0), [], tmp_path / "c.png"),
    ):
        sheet = _drawn(path)
        assert _shown(sheet) == [] and _has(sheet, GREY) and not _has(sheet, WRONG)


def test_parts_of_different_length_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'wanted': 2, 'said': 1"):
        show_results(_crops(2), [["a"], ["b"]], [["a"]], tmp_path / "a.png")
    with pytest.raises(ValueError, match="'pictures': 3"):
        show_batch(_crops(3), [["a"]], tmp_path / "a.png")
    with pytest.raises(ValueError, match="'names': 0"):
        top_losses(_crops(1), [["a"]], [["a"]], np.ones(1), [], tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []

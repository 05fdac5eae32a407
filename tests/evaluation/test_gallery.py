from __future__ import annotations

import numpy as np
import pytest
from rectangles import CATEGORIES, photo, result

from jeans_udf.evaluation.gallery import MOST, Shelf, agreement, fill_shelves
from jeans_udf.evaluation.matching import match
from jeans_udf.evaluation.paint import FOUND, TRUTH, Tile, draw_sheet, paint
from jeans_udf.evaluation.truth import Truth
from jeans_udf.report.colours import rgb

TALL, LOW, HALF = (10, 10, 40, 90), (60, 60, 90, 80), (10, 10, 40, 50)


def _shelves(truth: Truth, rows: list[dict]) -> dict[str, Shelf]:
    matches = match(truth, rows, "segm", same_category=False)
    return {shelf.key: shelf for shelf in fill_shelves(matches, truth)}


def test_each_error_is_on_its_shelf() -> None:
    truth = Truth(
        (photo(1, (0, TALL)), photo(2, (0, TALL), (1, LOW)), photo(3), photo(4, (1, TALL))),
        CATEGORIES,
    )
    rows = [
        result(1, 0, TALL, 0.9),
        result(2, 1, TALL, 0.8),
        result(2, 0, (60, 0, 90, 30), 0.7),
        result(3, 0, TALL, 0.6),
        result(3, 1, LOW, 0.95),
    ]
    shelves = _shelves(truth, rows)
    shown = {key: [(e.found.photo.coco_id, e.text) for e in s.examples]
             for key, s in shelves.items()}  # fmt: skip
    assert shown["best"][0] == (1, "agreement 1.00") and shelves["best"].total == 3
    assert [k for k, _ in shown["worst"]] == [4, 2], "the perfect one is not among the worst"
    assert shown["negatives"] == [(3, "score 0.95"), (3, "score 0.60")]
    assert shown["background"] == [(2, "score 0.70")]
    assert shown["missed"] == [
        (4, "shorts, 24% of the photo"), (2, "shorts, 6% of the photo"),
    ], "the largest first"  # fmt: skip
    assert shown["category"] == [(2, "jeans taken for shorts, 0.80")]


def test_agreement_by_hand() -> None:
    truth = Truth((photo(1, (0, TALL), (1, LOW)),), CATEGORIES)
    rows = [result(1, 0, HALF, 0.9), result(1, 0, (60, 0, 90, 30), 0.5)]
    (found,) = match(truth, rows, "segm", same_category=False)
    # Half of TALL; LOW is missed and one detection is of nothing: 0.5 of three.
    assert agreement(found) == pytest.approx(0.5 / 3)
    (empty,) = match(Truth((photo(2),), CATEGORIES), [], "segm", same_category=False)
    assert agreement(empty) == 1.0


def test_a_shelf_holds_a_few_and_counts_all() -> None:
    truth = Truth(tuple(photo(k, (0, TALL)) for k in range(MOST + 3)), CATEGORIES)
    missed = _shelves(truth, [])["missed"]
    assert len(missed.examples) == MOST and missed.total == MOST + 3


def test_truth_and_detections_are_drawn_in_their_colours_where_they_are() -> None:
    truth = Truth((photo(1, (0, TALL)),), CATEGORIES)
    rows = [result(1, 1, (60, 30, 90, 80), 0.9)]
    example = _shelves(truth, rows)["background"].examples[0]
    pixels = np.full((100, 100, 3), 128, dtype=np.uint8)
    picture = paint(example, pixels, CATEGORIES)
    assert picture.shape == (100, 100, 3) and (pixels == 128).all()
    near = {
        name: np.abs(picture.astype(int) - rgb(colour)).sum(axis=2) < 60
        for name, colour in (("truth", TRUTH), ("found", FOUND))
    }
    assert near["truth"][50, 10] and near["truth"][50, 39], "the rim of the garment's mask"
    assert near["found"][50, 60] and near["found"][50, 89], "the rim of the detection's"
    assert not near["truth"][:, 55].any() and not near["found"][60, :55].any()


def test_boxes_are_drawn_without_masks_and_pictures_are_shrunk() -> None:
    truth = Truth((photo(1, (0, TALL)),), CATEGORIES)
    matches = match(truth, [result(1, 0, TALL, 0.9, masked=False)], "bbox", same_category=False)
    example = fill_shelves(matches, truth)[0].examples[0]
    picture = paint(example, np.zeros((100, 100, 3), dtype=np.uint8), CATEGORIES, side=50)
    assert picture.shape == (50, 50, 3)
    assert tuple(picture[30, 5]) == rgb(FOUND), "the box's left edge, at half the size"


def test_the_sheet_has_room_for_every_shelf() -> None:
    tile = Tile(np.zeros((10, 10, 3), dtype=np.uint8), np.zeros((40, 900, 3), dtype=np.uint8),
                "名前" * 90 + ".png", "text")  # fmt: skip
    full = Shelf("a", "Full", "", 12, ())
    empty = Shelf("b", "Empty", "", 0, ())
    sheet = draw_sheet([(full, [tile] * 5), (empty, [])], columns=4)
    one = draw_sheet([(full, [tile])], columns=4)
    assert sheet.width == one.width and sheet.height > 1.7 * one.height

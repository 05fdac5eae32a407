from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rectangles import CATEGORIES, photo

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.detection import coco_truth
from jeans_udf.evaluation.proposals import (
    proposal_figures,
    proposal_recall,
    proposal_rows,
    read_proposals,
    write_proposals,
)
from jeans_udf.models.detections import Proposals

BOX, LOW = (10, 10, 40, 90), (50, 50, 80, 70)
PHOTOS = [photo(1, (0, BOX), (1, LOW)), photo(2, (1, LOW)), photo(3)]
SIX_TENTHS = [10, 10, 40, 58]  # 48 of BOX's 80 rows: an overlap of 0.6


def _proposals(*boxes: list[int]) -> Proposals:
    scores = np.linspace(0.9, 0.1, len(boxes), dtype=np.float32)
    return Proposals(np.array(boxes, dtype=np.float32).reshape(-1, 4), scores)


FOUND = {
    1: _proposals([0, 0, 5, 5], SIX_TENTHS, [1, 1, 6, 6], list(LOW)),
    2: _proposals([0, 0, 5, 5]),
    3: _proposals([0, 0, 9, 9]),
}


def test_recall_by_hand() -> None:
    recall = proposal_recall(coco_truth(PHOTOS, CATEGORIES), proposal_rows(FOUND))
    # Of three garments: BOX by the second proposal, LOW by the fourth, the other LOW by none.
    assert [recall[count]["AR50"] for count in (1, 2, 5, 100)] == pytest.approx(
        [0, 1 / 3, 2 / 3, 2 / 3]
    )
    # An overlap of 0.6 counts at 0.5, 0.55 and 0.6 of the ten thresholds.
    assert recall[2]["AR"] == pytest.approx(0.3 / 3)
    assert recall[100]["AR"] == pytest.approx((0.3 + 1) / 3)
    # BOX is 30 x 80 (medium), LOW 30 x 20 (small); none is large.
    assert recall[100]["AR_small"] == pytest.approx(0.5)
    assert recall[100]["AR_medium"] == pytest.approx(0.3)
    assert math.isnan(recall[100]["AR_large"])


def test_half_an_overlap_counts_at_half_alone() -> None:
    found = {1: _proposals([10, 10, 40, 52])}  # 42 of BOX's 80 rows: 0.525
    recall = proposal_recall(coco_truth(PHOTOS[:1], CATEGORIES), proposal_rows(found))
    assert recall[10]["AR50"] == pytest.approx(1 / 2)
    assert recall[10]["AR"] == pytest.approx(0.1 / 2)


def test_the_category_of_the_truth_does_not_matter() -> None:
    other = [photo(1, (1, BOX), (0, LOW)), photo(2, (0, LOW)), photo(3)]
    rows = proposal_rows(FOUND)
    assert proposal_recall(coco_truth(other, CATEGORIES), rows)[10] == pytest.approx(
        proposal_recall(coco_truth(PHOTOS, CATEGORIES), rows)[10], nan_ok=True
    )


def test_figures_have_the_names_that_trainings_read() -> None:
    figures = proposal_figures(coco_truth(PHOTOS, CATEGORIES), proposal_rows(FOUND))
    assert figures["AR@100"] == pytest.approx(1.3 / 3)
    assert figures["AR50@10"] == pytest.approx(2 / 3)
    nothing = proposal_figures(coco_truth(PHOTOS, CATEGORIES), [])
    assert nothing["AR@100"] == nothing["AR50@100"] == 0.0


def test_a_file_of_proposals_comes_back(tmp_path: Path) -> None:
    photos = [photo(1, path=tmp_path / "a/1.png"), photo(2, path=tmp_path / "2.png")]
    file = write_proposals({"2.png": FOUND[2], "a/1.png": FOUND[1]}, tmp_path / "p.parquet")
    back = read_proposals(file, photos, tmp_path)
    for key in (1, 2):
        np.testing.assert_array_equal(back[key].boxes, FOUND[key].boxes)
        np.testing.assert_array_equal(back[key].scores, FOUND[key].scores)
        assert back[key].boxes.dtype == back[key].scores.dtype == np.float32


def test_none_for_a_photo_is_an_error_but_an_empty_list_is_not(tmp_path: Path) -> None:
    file = write_proposals({"1.png": _proposals()}, tmp_path / "p.parquet")
    assert len(read_proposals(file, [photo(1, path=tmp_path / "1.png")], tmp_path)[1]) == 0
    with pytest.raises(ConfigError, match=r"none for photo '2\.png'"):
        read_proposals(file, [photo(2, path=tmp_path / "2.png")], tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"boxes": [[1.0, 2.0, 3.0]], "scores": [0.5]}, "four numbers"),
        ({"boxes": [[1.0, 2.0, 3.0, 4.0]], "scores": []}, "as many scores"),
        ({"boxes": [None], "scores": [0.5]}, "four numbers"),
        ({"boxes": [[1.0, 2.0, math.nan, 4.0]], "scores": [0.5]}, "not finite"),
        ({"boxes": [[3.0, 2.0, 1.0, 4.0]], "scores": [0.5]}, "in order"),
        ({"boxes": [[1.0, 2.0, 3.0, 4.0]], "scores": [1.5]}, "not in 0 to 1"),
        ({"boxes": [[1.0, 2.0, 3.0, 4.0]], "scores": [math.nan]}, "not in 0 to 1"),
    ],
)
def test_bad_boxes_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    columns = {"image_id": ["1.png"], "boxes": [row["boxes"]], "scores": [row["scores"]]}
    kinds = {"boxes": pa.list_(pa.list_(pa.float64())), "scores": pa.list_(pa.float64())}
    schema = pa.schema([("image_id", pa.string()), *kinds.items()])
    pq.write_table(pa.table(columns, schema=schema), tmp_path / "p.parquet")
    with pytest.raises(ConfigError, match=message):
        read_proposals(tmp_path / "p.parquet", [photo(1, path=tmp_path / "1.png")], tmp_path)


def test_files_that_are_no_proposals_are_refused(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"PAR1 but not really PAR1")
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    pq.write_table(pa.table({"image_id": ["a"], "boxes": ["b"], "scores": ["c"]}),
                   tmp_path / "typed.parquet")  # fmt: skip
    for name in ("junk", "other.parquet", "typed.parquet", "absent"):
        with pytest.raises(ConfigError, match=name):
            read_proposals(tmp_path / name, PHOTOS, tmp_path)

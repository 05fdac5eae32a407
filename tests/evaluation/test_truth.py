from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rectangles import photo, write_set

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.detection import coco_truth
from jeans_udf.evaluation.groups import groups_by_pattern, groups_by_table
from jeans_udf.evaluation.truth import Truth, read_truth

CATEGORIES = ("jeans", "denim_shorts", "trousers", "shorts", "leggings")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_set(tmp_path)


def _change(file: Path, change: Any) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data))


def test_crowds_are_kept_as_crowds(file: Path) -> None:
    truth = read_truth(file.parent, file, CATEGORIES)
    assert [len(p.classes) for p in truth.photos] == [1, 2, 0, 0] and truth.garments == 3
    (crowd,) = truth.crowds
    assert (crowd.coco_id, crowd.category) == (13, 0)
    assert [p.coco_id for p in truth.negatives] == [12], "a photo of a crowd is no negative"
    marked = coco_truth(truth.photos, CATEGORIES, truth.crowds)["annotations"]
    assert [a["iscrowd"] for a in marked] == [0, 0, 0, 1]
    assert marked[3]["area"] == 40 * 72 and marked[3]["bbox"] == [10, 8, 40, 72]


def test_polygons_of_a_crowd_are_read_too(file: Path) -> None:
    def polygon(data: dict) -> None:
        data["annotations"][3]["segmentation"] = [[10, 8, 50, 8, 50, 80, 10, 80]]

    _change(file, polygon)
    truth = read_truth(file.parent, file, CATEGORIES)
    marked = coco_truth(truth.photos, CATEGORIES, truth.crowds)["annotations"]
    assert marked[3]["area"] == 40 * 72


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: (d["images"].clear(), d["annotations"].clear()), "no photos"),
        (lambda d: d["images"].pop(0), "annotation 0 is of an unknown image"),
        (lambda d: d["images"][2].update(id=11), "more than once"),
        (lambda d: d["images"][2].update(id="10"), "wanted a whole number"),
        (lambda d: d["images"][0].pop("height"), "not COCO"),
        (lambda d: d["images"][0].update(height=10**9, width=10**9), "1000000000x1000000000"),
        (lambda d: d["images"][0].update(height=95), "annotation 0: its mask is"),
        (lambda d: d["annotations"][0]["segmentation"].update(size=[10**9, 10**9]), "its mask is"),
        (lambda d: d["annotations"][0]["segmentation"].update(counts="oooo"), "does not decode"),
        (lambda d: d["annotations"][3]["segmentation"].update(counts="oooo"), "crowd of image 13"),
        (lambda d: d["annotations"][0].update(segmentation=[[0, 0, 1e12, 0, 5, 5]]), "leaves"),
        (lambda d: d["annotations"][0].update(segmentation=None), "not COCO"),
        (lambda d: d["annotations"][0].update(category_id=77), "not COCO"),
        (lambda d: d.update(annotations={"a": 1}), "not COCO"),
        (lambda d: d["categories"][0].update(name="kilt"), "kilt"),
        (lambda d: d["images"][0].update(file_name="gone.png"), "gone.png"),
    ],
)
def test_files_that_would_mislead_are_refused(file: Path, change: Any, message: str) -> None:
    _change(file, change)
    with pytest.raises(ConfigError, match=message):
        read_truth(file.parent, file, CATEGORIES)


def test_what_is_no_file_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_truth(tmp_path, tmp_path / "none.json", CATEGORIES)
    for text in ("{", "[" * 100_000, "3", "\x00"):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ConfigError, match=r"bad\.json"):
            read_truth(tmp_path, tmp_path / "bad.json", CATEGORIES)


def test_fewer_photos_are_spread_over_the_file() -> None:
    truth = Truth(tuple(photo(k, (0, (1, 1, 9, 9))) for k in range(10)), ("jeans",))
    assert [p.coco_id for p in truth.spread(3).photos] == [0, 3, 6]
    assert truth.spread(10) is truth and truth.spread(99) is truth


def test_groups_by_the_name(file: Path) -> None:
    photos = read_truth(file.parent, file, CATEGORIES).photos
    groups = groups_by_pattern(photos, "^(flat|lay)_", file.parent)
    assert groups == {10: "other", 11: "flat", 12: "flat", 13: "flat"}
    for pattern, message in (
        ("(", "no regular expression"),
        ("flat", "0 groups"),
        ("(a)(b)", "2 groups"),
        ("(catwalk)", "no photo"),
    ):
        with pytest.raises(ConfigError, match=message):
            groups_by_pattern(photos, pattern, file.parent)


def test_groups_by_a_table(file: Path, tmp_path: Path) -> None:
    photos = read_truth(file.parent, file, CATEGORIES).photos
    table = tmp_path / "groups.csv"
    table.write_text("path,view\nstreet_1.png,worn\nflat_1.png,flat\nflat_2.png,\n")
    groups = groups_by_table(photos, table, "view", file.parent)
    assert groups == {10: "worn", 11: "flat", 12: "other", 13: "other"}
    with pytest.raises(ConfigError, match="did you mean 'view'"):
        groups_by_table(photos, table, "veiw", file.parent)
    table.write_bytes(b"path,view\n\xff\xfe,x\n")
    with pytest.raises(ConfigError, match="not CSV"):
        groups_by_table(photos, table, "view", file.parent)
    with pytest.raises(ConfigError, match="cannot be read"):
        groups_by_table(photos, tmp_path, "view", file.parent)


def test_a_group_for_every_photo_is_a_mistake() -> None:
    photos = [photo(k, path=Path(f"p/{k:02}.png")) for k in range(30)]
    with pytest.raises(ConfigError, match="30 groups"):
        groups_by_pattern(photos, "(..)", "p")

"""Every fault is found in one pass, named by file, photo and entry, and counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from own import (
    HEIGHT,
    SQUARE,
    VOCABULARY,
    WIDTH,
    both,
    coco,
    codes,
    faults,
    labelme,
    pairs,
    run,
    save_photo,
    save_photos,
    via_region,
)

from jeans_udf.annotations.faults import FAULTS, FaultLog, Place
from jobs import import_annotations


@pytest.fixture
def place(tmp_path: Path) -> Path:
    save_photos(tmp_path / "photos")
    return tmp_path


def _image(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda data: data["images"][0].update(values)


def _annotation(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda data: data["annotations"][0].update(values)


COCO_FAULTS: list[tuple[Callable[[dict[str, Any]], Any], str, str]] = [
    (_image(file_name="gone.png"), "photo_missing", "image 1"),
    (_image(file_name="../secret.png"), "path_outside", "image 1"),
    (_image(file_name="/etc/passwd"), "path_outside", "image 1"),
    (_image(file_name="http://host/p1.png"), "path_outside", "image 1"),
    (_image(file_name="link.png"), "path_outside", "image 1"),
    (_image(file_name="a\0b.png"), "path_outside", "image 1"),
    (_image(file_name="\ud800.png"), "path_outside", "image 1"),
    (_image(file_name="x" * 100_000), "photo_missing", "image 1"),
    (_image(file_name="text.png"), "photo_unreadable", "image 1"),
    (_image(file_name=["p1.png"]), "malformed", "image 1"),
    (_image(width=61), "photo_size", "image 1"),
    (_image(width=10**9, height=10**9), "photo_size", "image 1"),
    (_image(width="60"), "malformed", "image 1"),
    (_image(file_name="./p2.png"), "duplicate_photo", "image 2"),
    (_image(id=2), "duplicate_image_id", "image 2"),
    (_image(id=[1]), "malformed", "image a list of 1"),
    (lambda data: data["images"].__setitem__(2, 7), "malformed", "images[2]"),
    (lambda data: data["categories"].append("jeans"), "malformed", "categories[2]"),
    (lambda data: data["annotations"].append(None), "malformed", "annotations[3]"),
    (lambda data: data["annotations"].append({}), "empty_mask", "annotations[3]"),
    (_annotation(id=20), "duplicate_annotation_id", "annotation 20"),
    (_annotation(image_id=77), "unknown_image", "annotation 10"),
    (_annotation(image_id={}), "malformed", "annotation 10"),
    (_annotation(category_id=9), "unknown_category", "annotation 10"),
    (_annotation(segmentation=[SQUARE[:4]]), "too_few_points", "annotation 10"),
    (_annotation(segmentation=[SQUARE[:7]]), "malformed", "annotation 10"),
    (_annotation(segmentation=SQUARE), "malformed", "annotation 10"),
    (_annotation(segmentation="mask"), "malformed", "annotation 10"),
    (_annotation(segmentation=[]), "empty_mask", "annotation 10"),
    (_annotation(segmentation=[[5.0, 5.0] * 3]), "empty_mask", "annotation 10"),
    (_annotation(segmentation=[[*SQUARE[:7], float("nan")]]), "not_finite", "annotation 10"),
    (_annotation(segmentation=[[*SQUARE[:7], 10**400]]), "not_finite", "annotation 10"),
    (_annotation(segmentation=[[*SQUARE[:7], True]]), "malformed", "annotation 10"),
    (_annotation(segmentation=[[0, 0, 99, 0, 99, 30]]), "box_outside", "annotation 10"),
    (_annotation(bbox=[50, 5, 20, 20]), "box_outside", "annotation 10"),
    (_annotation(bbox=[50, 5, 20]), "malformed", "annotation 10"),
    (_annotation(bbox=[float("inf"), 5, 2, 2]), "not_finite", "annotation 10"),
    (_annotation(segmentation={"size": [60, 40], "counts": [2400]}), "mask_size", "annotation 10"),
    (_annotation(segmentation={"size": [10**9, 10**9], "counts": "0"}), "mask_size",
     "annotation 10"),
    (_annotation(segmentation={"size": [40, 60], "counts": "0o"}), "bad_mask", "annotation 10"),
    (_annotation(segmentation={"size": [40, 60], "counts": [2400]}), "empty_mask", "annotation 10"),
    (_annotation(iscrowd="no"), "malformed", "annotation 10"),
    (_annotation(attributes=[[1]]), "malformed", "annotation 10"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "code", "entry"), COCO_FAULTS)
def test_a_coco_fault_is_named_and_nothing_is_written(
    place: Path, spoil: Callable[[dict[str, Any]], Any], code: str, entry: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    save_photo(place / "secret.png", 5)
    (place / "photos" / "text.png").write_text("<html>")
    (place / "photos" / "link.png").symlink_to(place / "secret.png")
    data = coco()
    spoil(data)
    assert run(place, data) == 2
    found = [fault for fault in faults(place) if fault["code"] == code]
    assert len(found) == 1
    # An image of a broken entry leaves its annotation without image: told, too.
    assert set(codes(place)) <= {code, "unknown_image", "malformed"}
    assert found[0]["entry"] == entry and found[0]["file"].endswith("own.json")
    told = capsys.readouterr().err
    assert f"{code}: " in told and entry in told and "Traceback" not in told
    assert [path.name for path in (place / "out").iterdir()] == ["faults.csv"]


def test_all_faults_are_found_in_one_pass_and_can_be_dropped(place: Path) -> None:
    data = coco()
    save_photos(place / "photos", 5)
    more = coco(5)
    data["images"], data["annotations"] = more["images"], more["annotations"]
    data["images"][0]["file_name"] = "gone.png"
    data["annotations"][0] |= {"category_id": 9, "segmentation": [[1, 2, 3, 4]]}
    data["annotations"][1] |= {"bbox": [0, 0, 99, 99], "category_id": 9}
    data["annotations"].append(more["annotations"][2] | {"id": 31, "segmentation": [[0, 0] * 3]})
    assert run(place, data) == 2
    expected = ["photo_missing", "unknown_category", "too_few_points", "unknown_category",
                "box_outside", "empty_mask"]  # fmt: skip
    assert sorted(codes(place)) == sorted(expected)
    assert run(place, data, "--drop-faulty") == 0
    assert sorted(codes(place)) == sorted(expected)
    images, annotations = both(place)
    # Photo 2 lost its only annotation: as a negative it would teach that there is no garment.
    assert [i["id"] for i in images] == [3, 4, 5]
    assert [a["id"] for a in annotations] == [30, 40, 50]
    summary = json.loads((place / "out" / "summary.json").read_text())
    assert summary["left_out"] == {"photos": 2, "annotations": 3}
    assert summary["faults"] == {"photo_missing": 1, "unknown_category": 2, "too_few_points": 1,
                                 "box_outside": 1, "empty_mask": 1}  # fmt: skip


def test_both_photos_of_one_id_are_dropped(place: Path) -> None:
    data = coco()
    data["images"][0]["id"] = 2
    data["annotations"][0]["image_id"] = 2
    save_photos(place / "photos", 5)
    data["images"] += coco(5)["images"][3:]
    data["annotations"] += coco(5)["annotations"][3:]
    assert run(place, data, "--drop-faulty") == 0
    assert [image["id"] for image in both(place)[0]] == [3, 4, 5]


def test_a_near_miss_is_told(place: Path) -> None:
    data = coco()
    data["categories"][0]["name"] = "jean"
    run(place, data)
    assert all("did you mean 'jeans'" in fault["detail"] for fault in faults(place))


LABELME_FAULTS: list[tuple[Any, str, str]] = [
    ({"shape_type": "circle"}, "unsupported_shape", "shape 0"),
    ({"shape_type": 7}, "unsupported_shape", "shape 0"),
    ({"points": [[1, 2], [3, 4]]}, "too_few_points", "shape 0"),
    ({"points": [[1, 2, 3]]}, "malformed", "shape 0"),
    ({"points": "all"}, "malformed", "shape 0"),
    ({"points": [[1, 2], [3, 4], [float("-inf"), 3]]}, "not_finite", "shape 0"),
    ({"points": [[1, 2], [30, 4], [70, 30]]}, "box_outside", "shape 0"),
    ({"shape_type": "rectangle"}, "malformed", "shape 0"),
    ({"label": "kilt"}, "unknown_category", "shape 0"),
    ({"label": None}, "malformed", "shape 0"),
    ({"flags": 3}, "malformed", "shape 0"),
]


@pytest.mark.parametrize(("spoil", "code", "entry"), LABELME_FAULTS)
def test_labelme_faults(place: Path, spoil: Any, code: str, entry: str) -> None:
    shape = {"label": "jeans", "points": pairs(SQUARE), "shape_type": "polygon"}
    assert _import_labelme(place, labelme("p1.png", [shape | spoil])) == 2
    (found,) = faults(place)
    assert (found["code"], found["entry"], found["photo"]) == (code, entry, "p1.png")
    assert found["file"].endswith("labels/p1.json")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("{", "not_json"),
        ("[" * 100_000, "not_json"),
        ("3", "malformed"),
        ({"shapes": [], "imagePath": 3}, "malformed"),
        ({"shapes": {}, "imagePath": "p1.png"}, "malformed"),
        ({"shapes": [], "imagePath": "../../p1.png"}, "path_outside"),
        ({"shapes": [], "imagePath": "p1.png", "imageWidth": WIDTH + 1}, "photo_size"),
        ({"shapes": [], "imagePath": "p1.png", "imageHeight": -HEIGHT}, "malformed"),
        ({"shapes": [], "imagePath": "p2.png"}, "duplicate_photo"),
    ],
)
def test_labelme_files_that_are_none(place: Path, data: Any, code: str) -> None:
    assert _import_labelme(place, data) == 2
    assert codes(place) == [code]
    assert _import_labelme(place, data, "--drop-faulty") == 0
    assert codes(place) == [code]
    named = sorted(image["file_name"] for image in both(place)[0])
    # Of two files for one photo, neither is whole.
    assert named == (["p3.png", "p4.png"] if code == "duplicate_photo"
                     else ["p2.png", "p3.png", "p4.png"])  # fmt: skip


def _import_labelme(place: Path, first: Any, *more: str) -> int:
    folder = place / "labels"
    folder.mkdir(exist_ok=True)
    shape = {"label": "jeans", "points": pairs(SQUARE)}
    save_photos(place / "photos", 4)
    good = [labelme(f"p{number}.png", [shape]) for number in (2, 3, 4)]
    for number, data in enumerate([first, *good], start=1):
        text = data if isinstance(data, str) else json.dumps(data)
        (folder / f"p{number}.json").write_text(text)
    return import_annotations.main([
        "--photos", str(place / "photos"), "--annotations", str(folder), "--output",
        str(place / "out"), "--vocabulary", str(VOCABULARY), *more,
    ])  # fmt: skip


POLYGON = {"name": "polygon", "all_points_x": SQUARE[::2], "all_points_y": SQUARE[1::2]}


@pytest.mark.parametrize(
    ("region", "code"),
    [
        (via_region({"name": "point", "cx": 3, "cy": 4}, c="jeans"), "unsupported_shape"),
        (via_region({"name": ["polygon"]}, c="jeans"), "unsupported_shape"),
        (via_region(POLYGON | {"all_points_x": [1, 2]}, c="jeans"), "malformed"),
        (via_region({"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]},
                    c="jeans"), "too_few_points"),
        (via_region({"name": "rect", "x": 50, "y": 5, "width": 20, "height": 3}, c="jeans"),
         "box_outside"),
        (via_region({"name": "rect", "x": 50, "y": 5, "width": -20, "height": 3}, c="jeans"),
         "malformed"),
        (via_region({"name": "circle", "cx": 20, "cy": 20, "r": 0}, c="jeans"), "empty_mask"),
        (via_region({"name": "circle", "cx": 20, "cy": float("nan"), "r": 3}, c="jeans"),
         "not_finite"),
        (via_region(POLYGON, c="kilt"), "unknown_category"),
        (via_region(POLYGON), "unknown_category"),
        ({"shape_attributes": POLYGON, "region_attributes": []}, "malformed"),
        ({"shape_attributes": None, "region_attributes": {"c": "jeans"}}, "malformed"),
        ("region", "malformed"),
    ],
)  # fmt: skip
def test_via_faults(place: Path, region: Any, code: str) -> None:
    good = via_region(POLYGON, c="jeans")
    data = {
        "p1.png9": {"filename": "p1.png", "regions": [good, region]},
        "p2.png9": {"filename": "p2.png", "regions": [good]},
    }
    assert run(place, data) == 2
    (found,) = faults(place)
    assert (found["code"], found["photo"], found["entry"]) == (code, "p1.png", "region 1")
    assert run(place, data, "--drop-faulty") == 0
    assert len(both(place)[1]) == 2


def test_via_entries_that_are_none(place: Path) -> None:
    good = {"filename": "p1.png", "regions": [via_region(POLYGON, c="jeans")]}
    data = {"a": good, "b": 3, "c": {"filename": "p2.png", "regions": 4}, "d": {"regions": []},
            "e": {"filename": "gone.png", "regions": []}}  # fmt: skip
    assert run(place, data) == 2
    assert sorted(codes(place)) == ["malformed", "malformed", "malformed", "photo_missing"]


def test_the_log_counts_in_the_order_of_the_list_and_escapes(tmp_path: Path) -> None:
    log = FaultLog()
    log.add("empty_mask", Place("a.json", "p\x1b[31m.png", "annotation 1"), "x" * 10_000)
    log.add("not_json", Place("\ud800.json"), "no JSON")
    log.add("empty_mask", Place("a.json"), "again")
    assert list(log.counts().items()) == [("not_json", 1), ("empty_mask", 2)]
    assert "\x1b" not in str(log.faults[0]) and len(str(log.faults[0])) < 1000
    log.write(tmp_path / "faults.csv")
    assert "\\ud800.json" in (tmp_path / "faults.csv").read_text()
    assert all(code.islower() and what for code, what in FAULTS.items())


def test_many_faults_are_told_in_part_and_written_in_full(place: Path, capsys) -> None:
    data = coco()
    data["annotations"] = [{"id": n, "image_id": 1} for n in range(150)]
    assert run(place, data) == 2
    told = capsys.readouterr().err
    assert told.count("fault: ") == import_annotations.LINES and "200 more in" in told
    assert len(codes(place)) == 300

"""What each format says comes out as the same mask and category."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
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
    square_mask,
    via_region,
)
from PIL import Image

from jeans_udf.geometry import encode_rle
from jeans_udf.training.coco import read_coco
from jeans_udf.vocabulary import load_vocabulary
from jobs import import_annotations

CATEGORIES = load_vocabulary(VOCABULARY).categories


@pytest.fixture
def place(tmp_path: Path) -> Path:
    save_photos(tmp_path / "photos")
    return tmp_path


def masks(place: Path) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Photo name -> (category, mask) as the detector's training reads them."""
    found = {}
    for split in ("train", "val"):
        file = place / "out" / f"instances_{split}.json"
        for photo in read_coco(place / "photos", file, CATEGORIES):
            names = [CATEGORIES[number] for number in photo.classes]
            found[photo.path.name] = list(zip(names, photo.masks(), strict=True))
    return found


def test_coco_polygons_and_run_lengths(place: Path) -> None:
    data = coco()
    rle = encode_rle(square_mask())
    data["annotations"][1]["segmentation"] = rle
    plain = [5 + 10 * 40, *([20, 20] * 19), 20, 40 * 30 + 15]
    data["annotations"][2] |= {"segmentation": {"size": [HEIGHT, WIDTH], "counts": plain},
                               "category_id": 2, "attributes": ["dark", "slim"]}  # fmt: skip
    assert run(place, data) == 0
    found = masks(place)
    assert [found[f"p{n}.png"][0][0] for n in (1, 2, 3)] == ["jeans", "jeans", "shorts"]
    for name in found:
        assert len(found[name]) == 1 and np.array_equal(found[name][0][1], square_mask())
    images, annotations = both(place)
    assert [a["id"] for a in annotations] == [10, 20, 30] and [i["id"] for i in images] == [1, 2, 3]
    assert annotations[0]["segmentation"] == [SQUARE] and annotations[1]["segmentation"] == rle
    assert annotations[2]["segmentation"] == rle
    assert annotations[2]["attributes"] == ["dark", "slim"]
    assert all(a["bbox"] == [10, 5, 20, 20] and a["area"] == 400 for a in annotations)
    assert [c["name"] for c in json.loads(
        (place / "out" / "instances_val.json").read_text())["categories"]] == list(CATEGORIES)


def test_labelme_polygons_rectangles_and_groups(place: Path) -> None:
    folder = place / "labels"
    folder.mkdir()
    shapes: dict[str, list[Any]] = {
        "p1": [{"label": "jeans", "points": pairs(SQUARE), "shape_type": "polygon",
                "flags": {"dark": True, "slim": False}, "group_id": None}],
        "p2": [{"label": "shorts", "points": [[30, 5], [10, 25]], "shape_type": "rectangle"}],
        "p3": [{"label": "jeans", "points": [[10, 5], [20, 25]], "shape_type": "rectangle",
                "group_id": 4},
               {"label": "shorts", "points": [[40, 5], [50, 25]], "shape_type": "rectangle",
                "group_id": 4},
               {"label": "jeans", "points": [[20, 5], [30, 25]], "shape_type": "rectangle",
                "group_id": 4}],
    }  # fmt: skip
    for name, listed in shapes.items():
        path = f"..\\photos\\{name}.png" if name == "p2" else f"../photos/{name}.png"
        (folder / f"{name}.json").write_text(json.dumps(labelme(path, listed)))
    assert _run_folder(place, folder) == 0
    found = masks(place)
    assert [name for name, _ in found["p3.png"]] == ["jeans", "shorts"]
    for name, category in (("p1.png", "jeans"), ("p2.png", "shorts"), ("p3.png", "jeans")):
        assert found[name][0][0] == category
        assert np.array_equal(found[name][0][1], square_mask())
    _, annotations = both(place)
    assert [a.get("attributes") for a in annotations].count(["dark"]) == 1


def _run_folder(place: Path, folder: Path, *more: str) -> int:
    return import_annotations.main(["--photos", str(place / "photos"), "--annotations",
                                    str(folder), "--output", str(place / "out"), "--vocabulary",
                                    str(VOCABULARY), *more])  # fmt: skip


def via() -> dict[str, Any]:
    xs, ys = SQUARE[::2], SQUARE[1::2]
    return {
        "p1.png99": {"filename": "p1.png", "size": 99, "regions": [
            via_region({"name": "polygon", "all_points_x": xs, "all_points_y": ys},
                       type="jeans", wash="dark", details={"faded": True, "cuffed": False}),
            via_region({"name": "circle", "cx": 30, "cy": 20, "r": 10}, type="jeans")]},
        "p2.png99": {"filename": "p2.png", "regions": {"0": via_region(
            {"name": "rect", "x": 10, "y": 5, "width": 20, "height": 20}, type="shorts")}},
        "p3.png-1": {"filename": "p3.png", "size": -1, "regions": [
            via_region({"name": "ellipse", "cx": 30, "cy": 20, "rx": 6, "ry": 18,
                        "theta": math.pi / 2}, type="jeans"),
            via_region({"name": "polyline", "all_points_x": xs, "all_points_y": ys},
                       type="shorts")]},
    }  # fmt: skip


@pytest.mark.parametrize("as_project", [False, True])
def test_via_shapes_of_a_project_or_an_export(place: Path, as_project: bool) -> None:
    data: Any = {"_via_settings": {}, "_via_img_metadata": via()} if as_project else via()
    assert run(place, data) == 0
    found = masks(place)
    for name, number, category in (("p1.png", 0, "jeans"), ("p2.png", 0, "shorts"),
                                   ("p3.png", 1, "shorts")):  # fmt: skip
        assert found[name][number][0] == category
        assert np.array_equal(found[name][number][1], square_mask())
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    circle = (columns - 30) ** 2 + (rows - 20) ** 2 <= 100
    assert np.array_equal(found["p1.png"][1][1], circle)
    ellipse = ((columns - 30) / 18) ** 2 + ((rows - 20) / 6) ** 2 <= 1
    both_masks = (found["p3.png"][0][1] & ellipse).sum(), (found["p3.png"][0][1] | ellipse).sum()
    assert both_masks[0] / both_masks[1] > 0.99
    _, annotations = both(place)
    assert {"wash": "dark", "details": ["faded"]} in [a.get("attributes") for a in annotations]


def test_vias_label_attribute_is_found_or_asked_for(place: Path, capsys: Any) -> None:
    data = via()
    for entry in data.values():
        regions = entry["regions"]
        for region in regions.values() if isinstance(regions, dict) else regions:
            region["region_attributes"]["second"] = "shorts"
    assert run(place, data) == 2
    told = capsys.readouterr().err
    assert "--label-attribute" in told and "second" in told and "type" in told
    assert run(place, data, "--label-attribute", "second") == 0
    assert {c for photo in masks(place).values() for c, _ in photo} == {"shorts"}
    assert run(place, data, "--label-attribute", "typ") == 2
    assert "did you mean 'type'" in capsys.readouterr().err


def test_vias_boxes_to_tick_hold_one_category(place: Path) -> None:
    data = via()
    data["p2.png99"]["regions"]["0"]["region_attributes"]["type"] = {"jeans": True, "shorts": True}
    assert run(place, data) == 2
    assert codes(place) == ["unknown_category"]
    data["p2.png99"]["regions"]["0"]["region_attributes"]["type"] = {"jeans": False, "shorts": True}
    assert run(place, data) == 0
    assert masks(place)["p2.png"][0][0] == "shorts"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", "line 1, column 2"),
        ("[" * 100_000, "nested too deep"),
        ("[1, 2]", "no object with keys"),
        ('{"project": 1, "view": 2}', "'project', 'view'"),
        ("1" * 10_000, "thousands of digits"),
        ("\0", "line 1"),
    ],
)
def test_files_of_no_format_say_what_is_wanted(
    place: Path, data: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, data) == 2
    told = capsys.readouterr().err
    assert message in told and "own.json" in told and "(labelme)" in told and "(coco)" in told


def test_a_format_that_is_given_must_fit(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, coco(), "--format", "via") == 2
    assert "--format via" in capsys.readouterr().err
    assert _run_folder(place, place / "photos") == 2
    assert "without JSON files" in capsys.readouterr().err
    (place / "labels").mkdir()
    (place / "labels" / "a.json").write_text(json.dumps(coco()))
    assert _run_folder(place, place / "labels") == 2
    assert "none of its first 1 JSON files" in capsys.readouterr().err
    assert _run_folder(place, place / "labels", "--format", "coco") == 2
    assert "is a folder" in capsys.readouterr().err


def test_photos_turned_by_exif_are_measured_upright(place: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(place / "photos" / "p1.jpg", exif=exif)
    data = coco()
    data["images"][0]["file_name"] = "p1.jpg"
    assert run(place, data) == 0
    data["images"][0] |= {"width": HEIGHT, "height": WIDTH}
    data["annotations"][0] |= {"segmentation": [[1, 1, 9, 1, 9, 9]], "bbox": [1, 1, 8, 8]}
    assert run(place, data) == 2
    assert codes(place) == ["photo_size"] and "EXIF" in faults(place)[0]["detail"]


def test_names_are_mapped_and_passed_over(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = coco()
    data["categories"] = [{"id": 1, "name": "Denim"}, {"id": 2, "name": "shirt"}]
    data["annotations"][2]["category_id"] = 2
    assert run(place, data) == 2 and codes(place) == ["unknown_category"] * 3
    assert run(place, data, "--rename", "Denim=jeans", "--ignore-category", "shirt") == 0
    found = masks(place)
    assert [len(found[f"p{n}.png"]) for n in (1, 2, 3)] == [1, 1, 0]
    summary = json.loads((place / "out" / "summary.json").read_text())
    assert summary["ignored_annotations"] == 1 and summary["left_out"]["photos"] == 0
    capsys.readouterr()
    assert run(place, data, "--rename", "Denim=jean") == 2
    assert "did you mean 'jeans'" in capsys.readouterr().err


def test_crowds_are_kept_apart(place: Path) -> None:
    data = coco()
    data["annotations"].append(data["annotations"][0] | {"id": 99, "iscrowd": 1})
    assert run(place, data) == 0
    assert sum(len(found) for found in masks(place).values()) == 3
    summary = json.loads((place / "out" / "summary.json").read_text())
    assert sum(counts["crowds"] for counts in summary["splits"].values()) == 1


def test_photos_in_folders_and_unlisted_ones(place: Path, capsys) -> None:
    save_photo(place / "photos" / "inner" / "x.png", 77)
    save_photo(place / "photos" / "y.png", 78)
    data = coco()
    data["images"][0]["file_name"] = "inner/../inner/x.png"
    assert run(place, data) == 0
    images, _ = both(place)
    assert images[0]["file_name"] == "inner/x.png"
    assert "2 photos of the folder are in no annotation file" in capsys.readouterr().out
    assert run(place, data, "--unlisted-as-negatives") == 0
    images, annotations = both(place)
    assert {i["file_name"] for i in images} == {
        "inner/x.png", "p1.png", "p2.png", "p3.png", "y.png"} and len(annotations) == 3

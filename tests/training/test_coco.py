from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jeans_udf.errors import ConfigError
from jeans_udf.geometry import encode_rle
from jeans_udf.training.coco import (
    check_validation,
    negatives_as_photos,
    read_coco,
    read_negatives,
)


@pytest.fixture
def data(tmp_path: Path) -> dict:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    mask = np.zeros((10, 20), dtype=bool)
    mask[2:6, 4:8] = True
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": 10, "width": 20}],
        "categories": [{"id": 3, "name": "shorts"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "segmentation": encode_rle(mask)},
            {"id": 2, "image_id": 7, "category_id": 3,
             "segmentation": [[4, 2, 8, 2, 8, 6, 4, 6]]},
            {"id": 3, "image_id": 7, "category_id": 3, "segmentation": [], "iscrowd": 1},
        ],
    }  # fmt: skip


def _read(tmp_path: Path, data: dict) -> list:
    (tmp_path / "coco.json").write_text(json.dumps(data))
    return read_coco(tmp_path, tmp_path / "coco.json", ["jeans", "shorts"])


def test_rle_and_polygons_give_the_same_mask_and_crowds_are_left_out(tmp_path, data) -> None:
    (photo,) = _read(tmp_path, data)
    assert photo.classes == (1, 1) and photo.annotation_ids == (1, 2)
    masks = photo.masks()
    assert masks.shape == (2, 10, 20)
    assert masks[0].sum() == 16 and (masks[0] == masks[1]).all()


def test_a_category_that_the_vocabulary_lacks_is_named(tmp_path, data) -> None:
    data["categories"][0]["name"] = "kilt"
    with pytest.raises(ConfigError, match="kilt"):
        _read(tmp_path, data)


def test_a_missing_photo_is_named(tmp_path, data) -> None:
    data["images"][0]["file_name"] = "gone.png"
    with pytest.raises(ConfigError, match=r"gone\.png"):
        _read(tmp_path, data)


def test_files_that_are_no_coco_are_named(tmp_path) -> None:
    with pytest.raises(ConfigError, match="annotations"):
        _read(tmp_path, {"images": [], "categories": []})
    (tmp_path / "coco.json").write_text("{")
    with pytest.raises(ConfigError, match=r"coco\.json: not JSON"):
        read_coco(tmp_path, tmp_path / "coco.json", ["jeans"])


def test_negatives_are_photos_without_garments(tmp_path, data) -> None:
    (tmp_path / "list.txt").write_text("a.png\n\n")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (photo,) = negatives_as_photos(read_negatives(tmp_path / "list.txt", tmp_path))
    assert photo.classes == () and photo.path.name == "a.png"
    (tmp_path / "list.txt").write_text("b.png\n")
    with pytest.raises(ConfigError, match=r"b\.png"):
        read_negatives(tmp_path / "list.txt", tmp_path)


def test_a_photo_of_a_crowd_alone_is_neither_positive_nor_negative(tmp_path, data) -> None:
    (photo,) = _read(tmp_path, data)
    assert photo.crowded and not photo.is_negative
    data["annotations"] = data["annotations"][2:]
    (photo,) = _read(tmp_path, data)
    assert not photo.classes and not photo.is_negative
    data["annotations"] = []
    (photo,) = _read(tmp_path, data)
    assert photo.is_negative


@pytest.mark.parametrize("name", ["../a.png", "/etc/hostname"])
def test_a_photo_outside_of_its_folder_is_refused(tmp_path, data, name: str) -> None:
    data["images"][0]["file_name"] = name
    (tmp_path / "inner").mkdir()
    (tmp_path / "coco.json").write_text(json.dumps(data))
    with pytest.raises(ConfigError, match="lies outside"):
        read_coco(tmp_path / "inner", tmp_path / "coco.json", ["jeans", "shorts"])


def test_validation_without_garments_is_refused(tmp_path, data) -> None:
    check_validation(_read(tmp_path, data), "val.json")
    data["annotations"] = []
    with pytest.raises(ConfigError, match=r"val\.json: no garment on 1 photos"):
        check_validation(_read(tmp_path, data), "val.json")

"""The job as its users run it: its files, its words, its exit codes."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from own import VOCABULARY, both, coco, codes, run, save_photos
from PIL import Image

from jeans_udf.annotations.faults import FAULTS
from jeans_udf.annotations.overview import CAPTION, COLUMNS, MOST, TILE
from jeans_udf.drawing import draw_dataset
from jeans_udf.geometry import decode_rle
from jeans_udf.training.coco import Photo, read_coco
from jeans_udf.vocabulary import load_vocabulary
from jobs import import_annotations

CATEGORIES = load_vocabulary(VOCABULARY).categories
REAL = Path(__file__).parents[2] / "../shared/data"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    for name in ("coco", "labelme", "via"):
        draw_dataset(folder / name, 12, seed=5, annotation_format=name)
    return folder


FILES = {"coco": "instances.json", "labelme": "labelme", "via": "via.json"}


def imported(drawn: Path, name: str) -> dict[str, Photo]:
    """The photos by name as training reads them, all from the job's output."""
    folder = drawn / name
    assert import_annotations.main([
        "--photos", str(folder / "photos"), "--annotations",
        str(folder / "annotations" / FILES[name]), "--output", str(folder / "out"),
        "--vocabulary", str(VOCABULARY), "--val-share", "0.3",
    ]) == 0  # fmt: skip
    return {
        photo.path.name: photo
        for split in ("train", "val")
        for photo in read_coco(
            folder / "photos", folder / "out" / f"instances_{split}.json", CATEGORIES
        )
    }


def test_drawn_pictures_come_through_each_format_alike(drawn: Path) -> None:
    truth = json.loads((drawn / "coco" / "annotations" / "instances.json").read_text())
    names = {image["id"]: image["file_name"] for image in truth["images"]}
    expected: dict[str, list[tuple[int, np.ndarray]]] = {name: [] for name in names.values()}
    for one in truth["annotations"]:
        found = (one["category_id"] - 1, decode_rle(one["segmentation"]))
        expected[names[one["image_id"]]].append(found)
    assert sum(map(len, expected.values())) >= 6 and not all(expected.values())
    for format in FILES:
        photos = imported(drawn, format)
        assert set(photos) == set(expected)
        for name, garments in expected.items():
            assert [number for number, _ in garments] == list(photos[name].classes)
            for (_, mask), found in zip(garments, photos[name].masks(), strict=True):
                assert (mask & found).sum() / (mask | found).sum() > 0.97


@pytest.mark.skipif(not REAL.is_dir(), reason="the labelled photos (shared/data) are not here")
def test_real_photos_keep_their_ids_and_masks(tmp_path: Path) -> None:
    data = json.loads((REAL / "annotations" / "instances_val.json").read_text())
    data["images"] = data["images"][:20]
    chosen = {image["id"] for image in data["images"]}
    data["annotations"] = [one for one in data["annotations"] if one["image_id"] in chosen]
    assert len(data["annotations"]) >= 5
    assert run(tmp_path, data, "--photos", str(REAL / "photos")) == 0
    _, annotations = both(tmp_path)
    for given, found in zip(data["annotations"], annotations, strict=True):
        for key in ("id", "image_id", "category_id", "segmentation", "bbox"):
            assert given[key] == found[key]


def test_the_overview_shows_the_masks_where_they_are(tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 5)
    assert run(tmp_path, coco(5)) == 0
    with Image.open(tmp_path / "out" / "overview.png") as sheet:
        assert sheet.size == (COLUMNS * TILE, 2 * (TILE + CAPTION))
        pixels = np.asarray(sheet).astype(int)
    # Photos of 60 x 40 pixels in tiles of 320, not enlarged, each with the square at 10, 5.
    left, top = (TILE - 60) // 2, CAPTION + (TILE - 40) // 2
    tile = pixels[top : top + 40, left : left + 60]
    coloured = np.ptp(tile, axis=2) > 8
    assert coloured[20:25, 10:30].all() and not coloured[26:].any() and not coloured[20:, 31:].any()
    assert MOST == 12


def test_the_summary_counts_and_names_its_sources(tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 10)
    data = coco(10)
    data["annotations"] = data["annotations"][:8]
    assert run(tmp_path, data, "--seed", "3") == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    (source,) = summary["sources"]
    assert source["sha256"] == hashlib.sha256((tmp_path / "own.json").read_bytes()).hexdigest()
    assert source["format"] == "coco" and summary["split"] == {"val_share": 0.15, "seed": 3}
    counts = summary["splits"]
    assert counts["train"]["photos"] + counts["val"]["photos"] == 10
    assert counts["train"]["negatives"] + counts["val"]["negatives"] == 2
    assert counts["train"]["by_category"]["jeans"] + counts["val"]["by_category"]["jeans"] == 8
    assert summary["faults"] == {} and codes(tmp_path) == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "instances_train.json", "instances_val.json", "summary.json", "faults.csv", "overview.png",
    }  # fmt: skip


def test_the_last_line_is_a_command_of_the_training(tmp_path: Path, capsys) -> None:
    save_photos(tmp_path / "photos")
    assert run(tmp_path, coco()) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    words = shlex.split(last.removeprefix("next: "))
    assert words[:2] == ["python", "jobs/train_detector.py"]
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert set(options) == {"--photos", "--annotations", "--val-photos", "--val-annotations",
                            "--output"}  # fmt: skip
    assert Path(options["--annotations"]).is_file() and Path(options["--val-annotations"]).is_file()


def test_the_same_command_gives_the_same_files(tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 8)
    names = ("instances_train.json", "instances_val.json", "summary.json", "overview.png")
    runs = []
    for _ in range(2):
        assert run(tmp_path, coco(8)) == 0
        runs.append([(tmp_path / "out" / name).read_bytes() for name in names])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--val-share", "1.5"], "--val-share: got 1.5"),
        (["--split-by", "product"], "give --products"),
        (["--train", "x.json"], "wanted either"),
        (["--val-photos", "x"], "--val-photos goes with --val"),
        (["--rename", "jeans"], "wanted OLD=NEW"),
        (["--rename", "a=jeans", "--rename", "a=shorts"], "'a' is mapped to 'jeans', too"),
        (["--rename", "a=jeans", "--ignore-category", "a"], "is renamed as well"),
        (["--products", "/nowhere.csv"], "products /nowhere.csv: cannot be read"),
        (["--annotations", "/nowhere.json"], "annotations /nowhere.json: no such file"),
        (["--vocabulary", "/nowhere.yaml"], "vocabulary /nowhere.yaml"),
        (["--photos", "/nowhere"], "--photos /nowhere: is no folder"),
        (["--output", "/dev/null/x"], "--output /dev/null/x: cannot be made"),
    ],
)
def test_bad_requests_are_2_and_say_why(
    tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_photos(tmp_path / "photos")
    assert run(tmp_path, coco(), *more) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1 and "Traceback" not in told


def test_too_few_photos_and_no_annotation_are_told(tmp_path: Path, capsys) -> None:
    save_photos(tmp_path / "photos")
    assert run(tmp_path, coco(1)) == 2
    assert "no photo falls to val: 1 photos" in capsys.readouterr().err
    assert run(tmp_path, coco() | {"annotations": []}) == 2
    assert "no annotation is left of 3 photos" in capsys.readouterr().err
    assert run(tmp_path, coco() | {"images": [], "annotations": []}) == 2


def test_a_target_that_cannot_be_written_is_told(tmp_path: Path, capsys) -> None:
    save_photos(tmp_path / "photos")
    (tmp_path / "out" / "summary.json").mkdir(parents=True)
    assert run(tmp_path, coco()) == 2
    told = capsys.readouterr().err
    assert "summary.json" in told and "Traceback" not in told


def test_help_names_every_fault_and_a_command(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        import_annotations.main(["--help"])
    told = capsys.readouterr().out
    assert all(code in told for code in FAULTS)
    assert "--annotation-format labelme" in told and "exit codes" in told

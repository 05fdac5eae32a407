from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from jeans_udf.errors import ConfigError
from jeans_udf.training.classifier_sets import LabelledSet, Sources, gather_crops
from jeans_udf.training.crop_folder import Crop
from jeans_udf.training.crops import Cut
from jeans_udf.vocabulary import parse_vocabulary
from tests.training.stub_detector import (
    CATEGORIES,
    GARMENT,
    StubDetector,
    draw_photo,
    write_coco,
)

VOCABULARY = parse_vocabulary(
    {
        "categories": list(CATEGORIES),
        "groups": {"wash": {"exclusive": True, "labels": ["light", "dark"]}},
    },
    "test",
)
HEADER = "file_path,annotation_id,category,wash\n"
BOX = Cut(("box",), 8)


@pytest.fixture
def detecting() -> Cut:
    stub: Any = StubDetector(GARMENT)
    return Cut(("box",), 8, stub)


def _set(folder: Path, rows: str, garments: dict[str, list[int]] | None = None) -> LabelledSet:
    """Photos of every name in ``rows`` and ``garments``, a label file, and a COCO file if any."""
    names = {line.split(",")[0] for line in rows.splitlines()} | set(garments or {})
    for name in names:
        draw_photo(folder / "photos" / name)
    labels = folder / "labels.csv"
    labels.write_text(HEADER + rows)
    coco = None if garments is None else write_coco(folder / "coco.json", garments)
    return LabelledSet(folder / "photos", labels, coco)


def _names(crops: list[Crop]) -> list[tuple[str, str | None]]:
    return [(crop.photo, crop.category) for crop in crops]


def _whole(count: int) -> str:
    return "".join(f"{k}.png,,jeans,dark\n" for k in range(count))


def test_two_sets_with_annotations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "a.png,5,jeans,dark\nb.png,6,shorts,\n"
    train = _set(tmp_path / "t", rows, {"a.png": [5], "b.png": [6]})
    valid = _set(tmp_path / "v", "c.png,5,jeans,light\n", {"c.png": [5]})
    crops, judged = gather_crops(Sources([train], valid), VOCABULARY, BOX, tmp_path / "crops")
    assert [(c.photo, c.targets) for c in crops] == [
        ("a.png", ["dark", "category:jeans"]), ("b.png", ["category:shorts"]),
    ]  # fmt: skip
    assert [(c.photo, c.targets) for c in judged] == [("c.png", ["light", "category:jeans"])]
    assert crops[0].file.parent == tmp_path / "crops" / "train_0"
    assert judged[0].file.parent == tmp_path / "crops" / "valid"
    told = capsys.readouterr().err
    assert "jeans" in told and "val" in told and "rows" in told


def test_several_sets_are_learnt_together(tmp_path: Path) -> None:
    """Photos of the same name in two folders are two photos."""
    sets = [_set(tmp_path / part, _whole(2)) for part in ("one", "two")]
    valid = _set(tmp_path / "v", _whole(1))
    crops, judged = gather_crops(Sources(sets, valid), VOCABULARY, BOX, tmp_path / "crops")
    assert len(crops) == 4 and len({crop.file for crop in crops}) == 4 and len(judged) == 1
    with pytest.raises(ConfigError, match="2 sets without --val-labels"):
        gather_crops(Sources(sets, None), VOCABULARY, BOX, tmp_path / "crops")


def test_without_validation_a_fifth_of_the_photos_is_kept_back(tmp_path: Path) -> None:
    given = _set(tmp_path, _whole(20))
    crops, judged = gather_crops(Sources([given], None), VOCABULARY, BOX, tmp_path / "crops")
    assert (len(crops), len(judged)) == (16, 4)
    assert {c.photo for c in crops}.isdisjoint(c.photo for c in judged)
    assert len({c.photo for c in (*crops, *judged)}) == 20
    again = gather_crops(Sources([given], None), VOCABULARY, BOX, tmp_path / "again")
    assert _names(again[1]) == _names(judged), "the same ones every time"


def test_garments_of_a_photo_stay_on_one_side(tmp_path: Path) -> None:
    rows = "".join(f"{k}.png,{10 * k + g},jeans,dark\n" for k in range(10) for g in range(3))
    coco = {f"{k}.png": [10 * k + g for g in range(3)] for k in range(10)}
    crops, judged = gather_crops(
        Sources([_set(tmp_path, rows, coco)], None), VOCABULARY, BOX, tmp_path / "crops"
    )
    assert (len(crops), len(judged)) == (24, 6)
    assert {c.photo for c in crops}.isdisjoint(c.photo for c in judged)


def test_photos_without_garments_stay_on_one_side_too(tmp_path: Path, detecting: Cut) -> None:
    rows = "".join(f"{k}.png,{k},jeans,dark\n" for k in range(5))
    empty = [f"empty{k}.png" for k in range(30)]
    coco = {f"{k}.png": [k] for k in range(5)} | {name: [] for name in empty}
    crops, judged = gather_crops(
        Sources([_set(tmp_path, rows, coco)], None), VOCABULARY, detecting, tmp_path / "crops"
    )
    nothing, held = ({c.photo for c in part if c.category == "none"} for part in (crops, judged))
    assert nothing | held == set(empty) and not nothing & held
    assert held == {n for n in empty if hashlib.sha256(n.encode()).digest()[0] % 5 == 0} != set()


def test_photos_of_both_splits_are_refused(tmp_path: Path) -> None:
    given = _set(tmp_path, _whole(3))
    other = tmp_path / "val.csv"
    other.write_text(HEADER + "sub/../1.png,,jeans,dark\n")
    (tmp_path / "photos" / "sub").mkdir()
    valid = LabelledSet(tmp_path / "photos", other)
    with pytest.raises(ConfigError, match=r"(?s)1\.png.*photo_in_both_splits"):
        gather_crops(Sources([given], valid), VOCABULARY, BOX, tmp_path / "crops")
    assert not (tmp_path / "crops").exists()


def test_rows_of_whole_photos_beside_annotations(
    tmp_path: Path, detecting: Cut, capsys: pytest.CaptureFixture[str]
) -> None:
    """a has a mask and a row as a whole, b a row as a whole alone, c neither: it shows nothing."""
    rows = "a.png,5,jeans,dark\na.png,,jeans,dark\nb.png,,jeans,light\nz.png,6,jeans,\n"
    train = _set(tmp_path / "t", rows, {"a.png": [5], "b.png": [], "c.png": [], "z.png": [6]})
    sources = Sources([train], _set(tmp_path / "v", "d.png,1,jeans,\n", {"d.png": [1]}))
    crops, _ = gather_crops(sources, VOCABULARY, BOX, tmp_path / "crops")
    assert _names(crops) == [("a.png", "jeans"), ("z.png", "jeans")]
    assert "2 rows without annotation_id left out: without a --detector" in capsys.readouterr().err
    crops, _ = gather_crops(sources, VOCABULARY, detecting, tmp_path / "crops")
    assert _names(crops) == [
        ("a.png", "jeans"), ("c.png", "none"), ("z.png", "jeans"), ("b.png", "jeans"),
    ]  # fmt: skip
    assert "left out" not in capsys.readouterr().err
    again, _ = gather_crops(sources, VOCABULARY, detecting, tmp_path / "crops")
    assert again == crops


def test_negatives_teach_what_is_no_garment(tmp_path: Path, detecting: Cut) -> None:
    draw_photo(tmp_path / "other" / "x y.png", None)
    draw_photo(tmp_path / "outside.png", None)
    listing = tmp_path / "list.txt"
    listing.write_text(f"x y.png\n\n../outside.png\n{tmp_path / 'outside.png'}\n")
    sources = Sources(
        [_set(tmp_path / "t", _whole(1))], _set(tmp_path / "v", _whole(1)),
        [(str(tmp_path / "other"), str(listing))],
    )  # fmt: skip
    crops, judged = gather_crops(sources, VOCABULARY, detecting, tmp_path / "crops")
    assert _names(crops)[1:] == [
        ("x y.png", "none"), ("../outside.png", "none"), ("../outside.png", "none"),
    ]  # fmt: skip
    assert _names(judged) == [("0.png", "jeans")]
    with pytest.raises(ConfigError, match="--negatives: .*give --detector"):
        gather_crops(sources, VOCABULARY, BOX, tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists(), "told before anything is cut"


def test_faulty_rows_are_refused_or_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = _set(tmp_path, _whole(6) + "x.png,,jeans,purple\n")
    with pytest.raises(ConfigError, match=r"(?s)unknown_label.*--drop-faulty unknown_label"):
        gather_crops(Sources([given], None), VOCABULARY, BOX, tmp_path / "crops")
    sources = Sources([given], None, dropped=("unknown_label",))
    crops, judged = gather_crops(sources, VOCABULARY, BOX, tmp_path / "crops")
    assert {crop.labels for crop in (*crops, *judged)} == {("dark",), ()}
    assert "left out:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "coco", "message"),
    [
        ("a.png,99,jeans,dark\n", {"a.png": [5]}, "0 crops for training, 1 for validation"),
        ("a.png,,jeans,dark\n", {"a.png": [5]}, "no row has an annotation_id"),
        ("a.png,5,,dark\n", {"a.png": [5]}, "annotation 5 has no category"),
        ("../a.png,,jeans,dark\n", None, "missing_photo"),
        ("/etc/hostname,,jeans,dark\n", None, "missing_photo"),
    ],
)
def test_labels_that_do_not_belong_to_the_photos_are_told(
    tmp_path: Path, rows: str, coco: dict[str, list[int]] | None, message: str
) -> None:
    train = _set(tmp_path / "t", "a.png,5,jeans,dark\n", coco)
    train.labels.write_text(HEADER + rows)
    valid = _set(tmp_path / "v", "d.png,1,jeans,\n", {"d.png": [1]})
    with pytest.raises(ConfigError, match=message):
        gather_crops(Sources([train], valid), VOCABULARY, BOX, tmp_path / "crops")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"images": 1, "annotations": [], "categories": []}']
)
def test_a_file_that_is_no_coco_is_named(tmp_path: Path, text: str) -> None:
    train = _set(tmp_path / "t", "a.png,5,jeans,dark\n", {"a.png": [5]})
    assert train.annotations is not None
    train.annotations.write_text(text)
    valid = _set(tmp_path / "v", "d.png,1,jeans,\n", {"d.png": [1]})
    with pytest.raises(ConfigError, match=r"annotations .*coco\.json"):
        gather_crops(Sources([train], valid), VOCABULARY, BOX, tmp_path / "crops")


def test_without_annotations_photos_of_several_garments_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = _set(tmp_path / "t", _whole(3) + "two.png,7,jeans,dark\ntwo.png,8,shorts,\n")
    valid = _set(tmp_path / "v", "alone.png,9,jeans,light\n")
    crops, judged = gather_crops(Sources([train], valid), VOCABULARY, BOX, tmp_path / "crops")
    assert [crop.photo for crop in crops] == ["0.png", "1.png", "2.png"]
    assert [crop.photo for crop in judged] == ["alone.png"], "the garment of the photo's one row"
    assert "1 photos with several rows left out, such as two.png" in capsys.readouterr().err

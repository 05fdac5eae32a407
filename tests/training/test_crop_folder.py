from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jeans_udf.errors import ConfigError
from jeans_udf.training.crop_folder import Crop, CropFolder, Square, digest


def _squares(value: int = 7) -> list[Square]:
    pixels = np.full((4, 4, 3), value, dtype=np.uint8)
    return [
        ("00001_12", "jeans", ("dark", "skinny"), "a/1.jpg", [pixels]),
        ("00002_none0", "none", (), "b.jpg", [pixels + 1]),
        ("00003_whole", None, ("dark",), "c.jpg", [pixels + 2]),
    ]


def _unwanted() -> Iterator[Square]:
    raise AssertionError("the folder was finished: nothing is cut again")
    yield


def _value(file: Path) -> int:
    return int(np.asarray(Image.open(file))[0, 0, 0])


def _shown(crop: Crop) -> int:
    return _value(crop.file)


@pytest.fixture
def folder(tmp_path: Path) -> CropFolder:
    return CropFolder(tmp_path / "crops" / "train", ("masked",), 4, "s1")


def test_crops_are_written_as_they_are(folder: CropFolder) -> None:
    crops = folder.fill(_squares())
    assert [crop.file.name for crop in crops] == [
        "00001_12_masked.png", "00002_none0_masked.png", "00003_whole_masked.png",
    ]  # fmt: skip
    assert [(c.category, c.labels, c.photo) for c in crops] == [
        ("jeans", ("dark", "skinny"), "a/1.jpg"), ("none", (), "b.jpg"), (None, ("dark",), "c.jpg"),
    ]  # fmt: skip
    assert [_shown(crop) for crop in crops] == [7, 8, 9]


def test_targets_are_the_labels_and_the_category_where_it_is_known(folder: CropFolder) -> None:
    assert [crop.targets for crop in folder.fill(_squares())] == [
        ["dark", "skinny", "category:jeans"], ["category:none"], ["dark"],
    ]  # fmt: skip


def test_a_finished_folder_is_read_and_not_begun_again(folder: CropFolder) -> None:
    crops = folder.fill(_squares())
    assert folder.fill(_unwanted()) == crops


@pytest.mark.parametrize(
    "other", [(("box",), 4, "s1"), (("masked",), 8, "s1"), (("masked",), 4, "s2")]
)
def test_other_settings_cut_anew_and_leave_nothing_old(
    folder: CropFolder, other: tuple[tuple[str, ...], int, str]
) -> None:
    folder.fill(_squares())
    crops = CropFolder(folder.place, *other).fill(_squares(50)[:1])
    assert [_shown(crop) for crop in crops] == [50]
    names = sorted(path.name for path in folder.place.iterdir())
    assert names == [f"00001_12_{other[0][0]}.png", "index.json"]


def test_every_view_of_a_garment_has_its_file(tmp_path: Path) -> None:
    views = CropFolder(tmp_path / "crops", ("dimmed", "box", "masked"), 4)
    pixels = np.full((4, 4, 3), 7, dtype=np.uint8)
    crops = views.fill([("00001_1", "jeans", (), "a.jpg", [pixels, pixels + 1, pixels + 2])])
    assert [_value(file) for file in (crops[0].file, *crops[0].others)] == [7, 8, 9]
    assert [file.name for file in crops[0].others] == ["00001_1_box.png", "00001_1_masked.png"]
    assert views.fill(_unwanted()) == crops
    fewer = CropFolder(tmp_path / "crops", ("dimmed", "box"), 4)
    assert len(fewer.fill(_squares()[:0])) == 0, "other views are other crops"
    views.fill([("00001_1", "jeans", (), "a.jpg", [pixels] * 3)])[0].others[1].unlink()
    again = views.fill([("00001_1", "jeans", (), "a.jpg", [pixels + 9] * 3)])
    assert _value(again[0].others[1]) == 16, "one of them was gone"


def test_a_folder_that_was_stopped_is_cut_anew(folder: CropFolder) -> None:
    def stopped() -> Iterator[Square]:
        yield ("00001_old", "jeans", (), "a.jpg", [np.zeros((4, 4, 3), np.uint8)])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        folder.fill(stopped())
    assert list(folder.place.parent.iterdir()) == [], "what was not finished is gone"
    assert len(folder.fill(_squares())) == 3


def test_two_that_cut_the_same_at_once_do_not_disturb_each_other(folder: CropFolder) -> None:
    """As members of a recipe do that are trained side by side."""

    def slowly() -> Iterator[Square]:
        for number, square in enumerate(_squares(50)):
            if number == 1:
                quicker.extend(folder.fill(_squares()))
            yield square

    quicker: list[Crop] = []
    crops = folder.fill(slowly())
    # The first that is whole stays: the other one may be reading it.
    assert crops == quicker and [_shown(crop) for crop in crops] == [7, 8, 9]
    assert list(folder.place.parent.iterdir()) == [folder.place]


@pytest.mark.parametrize(
    "index",
    [
        "", "{", "[]", "null", "3", "[" * 100_000, "{}",
        '{"views": ["masked"], "size": 4, "source": "s1"}',
        '{"views": ["masked"], "size": 4, "source": "s1", "crops": 3}',
        '{"views": ["masked"], "size": 4, "source": "s1", "crops": [["a", "jeans"]]}',
        '{"views": ["masked"], "size": 4, "source": "s1", "crops": [[7, "jeans", [], "a"]]}',
        '{"views": ["masked"], "size": 4, "source": "s1", "crops": [["a", "jeans", 3, "a"]]}',
        '{"views": ["masked"], "size": 4, "source": "s1", "crops": [["gone", "x", [], "a"]]}',
        '{"views": ["masked"], "size": 4, "source": "s1", "crops": [["../a", "x", [], "a"]]}',
    ],
)  # fmt: skip
def test_a_broken_index_is_no_finished_folder(folder: CropFolder, index: str) -> None:
    folder.place.mkdir(parents=True)
    (folder.place / "a_masked.png").touch()
    (folder.place.parent / "a_masked.png").touch()
    (folder.place / "index.json").write_text(index)
    assert len(folder.fill(_squares())) == 3


def test_a_crop_that_is_gone_is_cut_again(folder: CropFolder) -> None:
    crops = folder.fill(_squares())
    crops[1].file.unlink()
    assert [_shown(crop) for crop in folder.fill(_squares())] == [7, 8, 9]


def test_no_crops_are_a_finished_folder_too(folder: CropFolder) -> None:
    assert folder.fill([]) == []
    assert folder.fill(_unwanted()) == []


@pytest.mark.parametrize(
    "name",
    ["a b.jpg", 'q".jpg', "line\nbreak.jpg", "\u00fc/\U0001f456.jpg", "no\udce4utf8.jpg", "../x"],
)
def test_photos_with_strange_names_are_kept_as_they_are(folder: CropFolder, name: str) -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    crops = folder.fill([("00001_1", "jeans", (), name, [pixels])])
    assert folder.fill(_unwanted()) == crops
    assert crops[0].photo == name and crops[0].file.parent == folder.place


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="crops .*file/train: cannot be made"):
        CropFolder(tmp_path / "file" / "train", ("box",), 4).fill(_squares())
    with pytest.raises(ConfigError, match="crops .*file: cannot be made"):  # at the end
        CropFolder(tmp_path / "file", ("box",), 4).fill(_squares())
    assert (tmp_path / "file").read_text() == "in the way"


def test_the_index_is_whole_or_not_there(folder: CropFolder) -> None:
    folder.fill(_squares())
    index = json.loads((folder.place / "index.json").read_text())
    assert set(index) == {"views", "size", "source", "crops"}
    assert not list(folder.place.glob("*.new"))


def test_a_digest_tells_apart_what_differs() -> None:
    values = [[("a", 1)], [("a", 2)], [("b", 1)], [("a", 1), ("a", 1)], [{"counts": b"x"}],
              [{"counts": b"y"}], [], [None]]  # fmt: skip
    assert len({digest(value) for value in values}) == len(values)
    assert digest([("a", 1)]) == digest([("a", 1)])
    assert digest(["not\udce4utf8"]) != digest(["not?utf8"])

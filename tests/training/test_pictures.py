from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jeans_udf.errors import ConfigError
from jeans_udf.labels.labelled import Labelled
from jeans_udf.models.views import GREY
from jeans_udf.training.crop_folder import Crop
from jeans_udf.training.crops import Cut
from jeans_udf.training.pictures import SURE, cut_pictures
from tests.training.stub_detector import BACKDROP, CLOTH, GARMENT, StubDetector, draw_photo


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    draw_photo(tmp_path / "photos" / "a.png")
    draw_photo(tmp_path / "photos" / "sub" / "b c.png")
    return tmp_path / "photos"


def _row(name: str = "a.png", labels: tuple[str, ...] = ("dark",)) -> Labelled:
    return Labelled(name, None, "jeans", labels, 2)


def _pixels(crop: Crop) -> np.ndarray:
    return np.asarray(Image.open(crop.file))


def test_without_a_detector_the_whole_photo_is_the_picture(photos: Path, tmp_path: Path) -> None:
    rows = [_row(), Labelled("sub/b c.png", None, None, ("light", "wide"), 3)]
    crops = cut_pictures(rows, photos, tmp_path / "crops", Cut(("masked",), 60))
    assert [(c.file.name, c.category, c.labels, c.photo) for c in crops] == [
        ("00001_whole_whole.png", "jeans", ("dark",), "a.png"),
        ("00002_whole_whole.png", None, ("light", "wide"), "sub/b c.png"),
    ]
    # 48 of 60 pixels wide, centred: the view has no say, since nothing tells where the garment is.
    pixels = _pixels(crops[0])
    assert (pixels[:, :6] == GREY).all() and (pixels[:, 54:] == GREY).all()
    assert tuple(pixels[0, 6]) == BACKDROP and tuple(pixels[34, 30]) == CLOTH


def test_with_a_detector_it_is_the_best_garment(photos: Path, tmp_path: Path) -> None:
    detector: Any = StubDetector(GARMENT, (0, 0, 9, 9))
    (crop,) = cut_pictures([_row()], photos, tmp_path / "crops", Cut(("box",), 28, detector))
    assert (_pixels(crop) == CLOTH).all() and detector.looked == 1


def test_its_mask_cuts_it(photos: Path, tmp_path: Path) -> None:
    half = np.zeros((1, 28, 28), dtype=np.float32)
    half[:, :14] = 1
    detector: Any = StubDetector(GARMENT, masks=half)
    (crop,) = cut_pictures([_row()], photos, tmp_path / "crops", Cut(("masked",), 28, detector))
    pixels = _pixels(crop)
    assert (pixels[8:20] == CLOTH).all() and (pixels[:6] == GREY).all()


@pytest.mark.parametrize(("score", "crops"), [(SURE + 0.001, 1), (SURE - 0.001, 0)])
def test_a_garment_to_be_unsure_of_is_no_picture(
    photos: Path, tmp_path: Path, score: float, crops: int
) -> None:
    detector: Any = StubDetector(GARMENT, score=score)
    cut = Cut(("box",), 8, detector)
    assert len(cut_pictures([_row()], photos, tmp_path / "crops", cut)) == crops
    blind: Any = StubDetector()
    assert cut_pictures([_row()], photos, tmp_path / "blind", Cut(("box",), 8, blind)) == []


def test_a_finished_folder_is_read_unless_something_changed(photos: Path, tmp_path: Path) -> None:
    folder, cut = tmp_path / "crops", Cut(("box",), 60)
    crops = cut_pictures([_row()], photos, folder, cut)
    kept = (photos / "a.png").read_bytes()
    (photos / "a.png").unlink()
    assert cut_pictures([_row()], photos, folder, cut) == crops
    (photos / "a.png").write_bytes(kept)
    (mended,) = cut_pictures([_row(labels=("light",))], photos, folder, cut)
    assert mended.labels == ("light",)
    detector: Any = StubDetector(GARMENT)
    (found,) = cut_pictures([_row(labels=("light",))], photos, folder, Cut(("box",), 60, detector))
    assert (_pixels(found) == CLOTH).all()
    assert cut_pictures([], photos, folder, cut) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, r"cannot be read \(No such file"),
        (b"", "empty: the image has zero bytes"),
        (b"<html>", "not_an_image"),
        (b"GIF89a" + bytes(60), "unsupported_format"),
        (b"cposix\nsystem\n(S'true'\ntR.", "not_an_image"),
    ],
)
def test_a_photo_that_cannot_be_read_is_named(
    photos: Path, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    (photos / "a.png").unlink()
    if content is not None:
        (photos / "a.png").write_bytes(content)
    rows = [_row("sub/b c.png"), _row()]
    with pytest.raises(ConfigError, match=rf"photo .*a\.png: {reason}.*; mend it, or take it out"):
        cut_pictures(rows, photos, tmp_path / "crops", Cut(("box",), 8))


def test_a_folder_in_a_photos_place_is_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"photo .*sub: cannot be read \(Is a directory\)"):
        cut_pictures([_row("sub")], photos, tmp_path / "crops", Cut(("box",), 8))

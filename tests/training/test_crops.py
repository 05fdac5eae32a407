from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jeans_udf.errors import ConfigError
from jeans_udf.geometry import encode_rle
from jeans_udf.models.views import GREY
from jeans_udf.training.coco import Photo
from jeans_udf.training.crop_folder import Crop
from jeans_udf.training.crops import Cut, cut_crops, name_below
from tests.training.stub_detector import (
    BACKDROP,
    CLOTH,
    GARMENT,
    HEIGHT,
    WIDTH,
    StubDetector,
    draw_photo,
)

LABELS = {("a.png", 5): ("jeans", ("dark",))}


def _mask(box: Sequence[int] = GARMENT) -> dict[str, Any]:
    left, top, right, bottom = box
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[top:bottom, left:right] = True
    return encode_rle(mask)


def _photo(path: Path, ids: Sequence[int] = (5,), **changes: Any) -> Photo:
    photo = Photo(path, 1, HEIGHT, WIDTH, tuple(ids), (0,) * len(ids), (_mask(),) * len(ids))
    return replace(photo, **changes)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draw_photo(tmp_path / "photos" / "a.png")
    return tmp_path / "photos"


def _cut(root: Path, photos: Sequence[Photo], cut: Cut, labels: Any = None) -> list[Crop]:
    given = LABELS if labels is None else labels
    return cut_crops(photos, given, root.parent / "crops", cut, root)


def _pixels(crop: Crop) -> np.ndarray:
    return np.asarray(Image.open(crop.file))


def test_a_labelled_garment_is_cut_by_its_mask(root: Path) -> None:
    (crop,) = _cut(root, [_photo(root / "a.png")], Cut(("masked",), 28))
    assert (crop.category, crop.labels, crop.photo) == ("jeans", ("dark",), "a.png")
    assert crop.file.name == "00001_5_masked.png" and crop.others == ()
    assert (_pixels(crop) == CLOTH).all() and _pixels(crop).shape == (28, 28, 3)


def test_the_view_and_the_size_are_the_cuts(root: Path) -> None:
    (crop,) = _cut(root, [_photo(root / "a.png")], Cut(("margin",), 36))
    # 0.15 of 28 pixels on each side are 4.2: the whole pixels are 38 of the photo's.
    pixels = _pixels(crop)
    assert pixels.shape == (36, 36, 3)
    assert tuple(pixels[0, 0]) == BACKDROP and tuple(pixels[18, 18]) == CLOTH


def test_a_mask_becomes_as_coarse_as_a_predicted_one(root: Path) -> None:
    """A slit of one pixel in 56 is less than half of a cell of 28 x 28: it is not seen."""
    image = np.full((HEIGHT, 64, 3), CLOTH, dtype=np.uint8)
    Image.fromarray(image).save(root / "a.png")
    mask = np.zeros((HEIGHT, 64), dtype=bool)
    mask[2:58, 4:60] = True
    mask[10, 4:60] = False
    photo = _photo(root / "a.png", width=64, rles=(encode_rle(mask),))
    (crop,) = _cut(root, [photo], Cut(("masked",), 56))
    assert (_pixels(crop) == GREY).all(axis=2).sum() == 0
    # Two dots are all that there is of their garment, and stay.
    dots = np.zeros((HEIGHT, 64), dtype=bool)
    dots[2, 4] = dots[57, 59] = True
    (crop,) = _cut(root, [replace(photo, rles=(encode_rle(dots),))], Cut(("masked",), 56))
    shown = (_pixels(crop) == CLOTH).all(axis=2)
    assert np.argwhere(shown).tolist() == [[0, 0], [55, 55]]


@pytest.mark.parametrize(
    ("found", "corner"),
    [
        ((6, 20, 38, 48), BACKDROP),  # 784 of 896 pixels are shared: the detector's box is cut
        ((0, 0, 38, 48), CLOTH),  # 784 of 1824: it is another thing
    ],
)
def test_a_garment_is_cut_as_the_detector_finds_it(
    root: Path, found: tuple[int, ...], corner: tuple[int, ...]
) -> None:
    detector: Any = StubDetector((0, 0, 5, 5), found)
    (crop,) = _cut(root, [_photo(root / "a.png")], Cut(("box",), 28, detector))
    assert tuple(_pixels(crop)[14, 0]) == corner


def test_the_detectors_own_mask_is_taken(root: Path) -> None:
    left_half = np.zeros((1, 28, 28), dtype=np.float32)
    left_half[:, :, :14] = 1
    detector: Any = StubDetector(GARMENT, masks=left_half)
    (crop,) = _cut(root, [_photo(root / "a.png")], Cut(("masked",), 28, detector))
    # 14 of 28 columns, centred on the square.
    pixels = _pixels(crop)
    assert (pixels[:, 8:20] == CLOTH).all() and (pixels[:, :6] == GREY).all()
    assert (pixels[:, 22:] == GREY).all()


def test_what_is_found_where_nothing_is_becomes_none(root: Path) -> None:
    empty = draw_photo(root / "empty.png", None)
    photos = [_photo(root / "a.png"), _photo(empty, ())]
    detector: Any = StubDetector(GARMENT, (0, 0, 8, 8))
    crops = _cut(root, photos, Cut(("box",), 8, detector))
    assert [(c.file.name, c.category, c.labels, c.photo) for c in crops] == [
        ("00001_5_box.png", "jeans", ("dark",), "a.png"),
        ("00002_none0_box.png", "none", (), "empty.png"),
        ("00003_none1_box.png", "none", (), "empty.png"),
    ]
    assert (_pixels(crops[1]) == BACKDROP).all()
    assert len(_cut(root, photos, Cut(("box",), 8))) == 1, "nothing is seen without a detector"
    blind: Any = StubDetector()
    assert len(_cut(root, photos, Cut(("box",), 16, blind))) == 1


def test_a_crowd_is_no_photo_without_garments(root: Path) -> None:
    detector: Any = StubDetector(GARMENT)
    crowded = _photo(root / "a.png", (), crowded=True)
    assert _cut(root, [crowded], Cut(("box",), 8, detector)) == []
    assert detector.looked == 0


def test_only_what_has_a_label_and_a_mask_is_cut(root: Path) -> None:
    draw_photo(root / "b.png")
    nothing = encode_rle(np.zeros((HEIGHT, WIDTH), dtype=bool))
    photos = [
        _photo(root / "a.png", (5, 6, 7), rles=(_mask(), _mask(), nothing)),
        _photo(root / "b.png", (5,)),
    ]
    labels = {("a.png", 5): ("jeans", ()), ("a.png", 7): ("jeans", ()), ("gone.png", 1): ("x", ())}
    crops = _cut(root, photos, Cut(("box",), 8), labels)
    assert [(crop.file.name, crop.photo) for crop in crops] == [("00001_5_box.png", "a.png")]
    assert _cut(root, [], Cut(("box",), 8), labels) == []


def test_a_finished_folder_is_read_unless_something_changed(root: Path) -> None:
    photos, cut = [_photo(root / "a.png")], Cut(("box",), 28)
    crops = _cut(root, photos, cut)
    kept = (root / "a.png").read_bytes()
    (root / "a.png").write_bytes(b"no photo any more")
    assert _cut(root, photos, cut) == crops
    (root / "a.png").write_bytes(kept)
    mended = {("a.png", 5): ("jeans", ("light",))}
    (crop,) = _cut(root, photos, cut, mended)
    assert crop.labels == ("light",), "a label was mended"
    assert tuple(_pixels(crop)[14, 0]) == CLOTH
    (smaller,) = _cut(root, [replace(photos[0], rles=(_mask((10, 20, 20, 48)),))], cut, mended)
    assert tuple(_pixels(smaller)[14, 0]) == (GREY,) * 3, "and a mask drawn anew"
    _cut(root, photos, cut, mended)
    detector: Any = StubDetector((6, 20, 38, 48))
    (found,) = _cut(root, photos, Cut(("box",), 28, detector), mended)
    assert tuple(_pixels(found)[14, 0]) == BACKDROP, "and a detector given"


@pytest.mark.parametrize("content", [b"", b"no photo", b"\x89PNG\r\n\x1a\n", None])
def test_a_photo_that_cannot_be_read_is_named(root: Path, content: bytes | None) -> None:
    (root / "a.png").unlink()
    if content is not None:
        (root / "a.png").write_bytes(content)
    with pytest.raises(ConfigError, match=r"photo .*a\.png: .*; mend it, or take it out"):
        _cut(root, [_photo(root / "a.png")], Cut(("box",), 8))


def test_a_photo_of_another_size_than_its_masks_is_named(root: Path) -> None:
    photo = _photo(root / "a.png", height=WIDTH, width=HEIGHT)
    with pytest.raises(ConfigError, match="is 48 x 60 pixels, its annotations are for 60 x 48"):
        _cut(root, [photo], Cut(("box",), 8))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.png", "a.png"), ("sub/../a.png", "a.png"), ("./sub//b c.png", "sub/b c.png"),
        ("line\nbreak.png", "line\nbreak.png"), ("../a.png", "../a.png"), ("..a.png", "..a.png"),
    ],
)  # fmt: skip
def test_photos_are_named_as_label_files_name_them(
    root: Path, monkeypatch: pytest.MonkeyPatch, path: str, name: str
) -> None:
    assert name_below(root / path, root) == name
    # A COCO file may give whole paths while the folder is given from here.
    monkeypatch.chdir(root.parent)
    assert name_below(root / path, Path("photos")) == name


def test_a_photos_winding_path_finds_its_label(root: Path) -> None:
    (root / "sub").mkdir()
    (crop,) = _cut(root, [_photo(root / "sub" / ".." / "a.png")], Cut(("box",), 8))
    assert crop.photo == "a.png"


def test_every_view_is_cut_of_the_same_garment(root: Path) -> None:
    detector: Any = StubDetector((6, 20, 38, 48))
    for given in (None, detector):
        (crop,) = _cut(root, [_photo(root / "a.png")], Cut(("masked", "box", "margin"), 28, given))
        box, margin = (np.asarray(Image.open(file)) for file in crop.others)
        assert crop.file.name == "00001_5_masked.png" and tuple(margin[14, 0]) == BACKDROP
        # The detector's box, 32 pixels wide, leaves a bar above it in the square.
        assert tuple(box[0, 14]) == (CLOTH if given is None else (GREY,) * 3)

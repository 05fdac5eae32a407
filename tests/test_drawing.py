"""Drawn pictures: the same for a seed, with masks and labels that are true."""

from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from scipy.ndimage import binary_dilation

from jeans_udf.drawing import NEGATIVES, draw_catalog, draw_dataset, draw_picture
from jeans_udf.drawing.broken import BROKEN
from jeans_udf.drawing.catalog import ODD
from jeans_udf.drawing.plan import CATEGORIES
from jeans_udf.errors import REASONS, ConfigError
from jeans_udf.vocabulary import load_vocabulary

ROOT = Path(__file__).resolve().parents[1]
VOCABULARY = load_vocabulary(ROOT / "conf" / "vocabulary.yaml")
SMALL = (240, 320)


def digest(seed: int) -> str:
    picture = draw_picture(seed)
    total = hashlib.sha256(picture.image.tobytes())
    for garment in picture.garments:
        total.update(np.packbits(garment.mask).tobytes())
        total.update(repr((garment.category, garment.attributes, garment.box)).encode())
    total.update(f"{picture.kind}{picture.view}{picture.title}{picture.description}".encode())
    return total.hexdigest()


def test_a_seed_gives_the_same_picture_in_another_process() -> None:
    code = "from tests.test_drawing import digest; print(*map(digest, range(8)))"
    if not (ROOT / "tests" / "__init__.py").exists():
        code = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); " + code.replace(
            "tests.test_drawing", "test_drawing"
        )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [digest(seed) for seed in range(8)]
    assert len(set(run.stdout.split())) == 8


def test_shapes_types_and_boxes() -> None:
    for seed in range(30):
        picture = draw_picture(seed)
        height, width = picture.image.shape[:2]
        assert picture.image.dtype == np.uint8 and picture.image.shape == (height, width, 3)
        assert picture.title and picture.description
        assert bool(picture.garments) == (picture.kind not in NEGATIVES)
        for garment in picture.garments:
            assert garment.mask.shape == (height, width) and garment.mask.dtype == bool
            rows, columns = np.nonzero(garment.mask)
            found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert garment.box == found


@pytest.mark.parametrize("view", ["flat", "worn"])
@pytest.mark.parametrize("kind", list(CATEGORIES))
def test_another_cloth_changes_the_pixels_of_the_mask_and_no_others(kind: str, view: str) -> None:
    wishes = {"kind": kind, "view": view, "size": (300, 400), "wash": "colored", "details": ()}
    for seed in range(4):
        red = draw_picture(seed, **wishes, fabric=(200, 40, 40))
        blue = draw_picture(seed, **wishes, fabric=(40, 40, 200))
        mask = red.garments[0].mask
        assert np.array_equal(mask, blue.garments[0].mask)
        change = np.abs(red.image.astype(int) - blue.image).max(axis=2)
        # The rim is antialiased and the lens may blur it: three pixels of play. A sliver beside
        # a clip or an arm may show less than half a pixel of cloth, which is not in the mask.
        outside = (change > 12) & ~binary_dilation(mask, iterations=3)
        assert outside.sum() <= 0.001 * mask.sum()
        inside = change[mask]
        # Labels, buttons and deep shadow keep their own colour.
        assert (inside > 12).mean() > 0.93


def test_two_garments_in_a_picture_share_no_pixel() -> None:
    for seed in range(6):
        picture = draw_picture(seed, kind="pair", view="flat", size=(480, 360))
        assert len(picture.garments) == 2
        assert not (picture.garments[0].mask & picture.garments[1].mask).any()


def test_every_label_is_drawn_and_the_rules_hold() -> None:
    seen: set[str] = set()
    groups = {group.name: group for group in VOCABULARY.groups}
    for seed in range(300):
        for garment in draw_picture(seed, size=SMALL).garments:
            seen.add(garment.category)
            for name, value in garment.attributes.items():
                labels = (value,) if isinstance(value, str) else value
                assert garment.category in groups[name].applies_to
                assert isinstance(value, str) == groups[name].exclusive
                assert set(labels) <= set(groups[name].labels)
                seen.update(labels)
            short = garment.category in ("shorts", "denim_shorts")
            assert garment.attributes.get("length") in (
                {"short"} if short else {"full", "cropped", None}
            )
    assert seen == {*VOCABULARY.categories, *VOCABULARY.labels}


def test_categories_stand_in_the_order_of_the_vocabulary() -> None:
    assert tuple(CATEGORIES) == VOCABULARY.categories


def test_wishes_are_granted() -> None:
    picture = draw_picture(
        3, kind="jeans", view="worn", wash="dark", fit="flare", length="full",
        details=("raw_hem", "distressed"), size=SMALL,
    )  # fmt: skip
    assert picture.view == "worn" and picture.image.shape == (320, 240, 3)
    assert picture.garments[0].attributes == {
        "wash": "dark", "fit": "flare", "length": "full", "details": ("distressed", "raw_hem"),
    }  # fmt: skip


def test_a_close_up_does_not_tell_the_length() -> None:
    picture = draw_picture(5, kind="jeans", view="flat", close_up=True, details=("cuffed",))
    assert "length" not in picture.garments[0].attributes
    assert picture.garments[0].attributes["details"] == ()


@pytest.mark.parametrize("kind", list(NEGATIVES))
def test_negatives_hold_no_garment(kind: str) -> None:
    picture = draw_picture(1, kind=kind, size=SMALL)
    assert picture.garments == () and picture.kind == kind


@pytest.mark.parametrize(
    ("arguments", "near"),
    [({"kind": "jean"}, "jeans"), ({"views": "flat"}, "view"), ({"view": "side"}, "worn")],
)
def test_unknown_wishes_name_the_near_miss(arguments: dict[str, str], near: str) -> None:
    with pytest.raises(ConfigError, match=near):
        draw_picture(1, **arguments)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("drawn"), 24, seed=3, start_id=100)


def test_the_dataset_loads_as_coco_and_areas_agree(dataset: Path) -> None:
    coco = COCO(str(dataset / "annotations" / "instances.json"))
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == list(VOCABULARY.categories)
    assert coco.getCatIds() == [1, 2, 3, 4, 5]
    assert sorted(coco.getImgIds()) == list(range(100, 124))
    with_garment = {a["image_id"] for a in coco.anns.values()}
    assert 0 < len(with_garment) < 24
    for annotation in coco.anns.values():
        entry = coco.loadImgs(annotation["image_id"])[0]
        with Image.open(dataset / "photos" / entry["file_name"]) as image:
            assert image.size == (entry["width"], entry["height"])
        mask = coco.annToMask(annotation)
        assert mask.shape == (entry["height"], entry["width"])
        assert mask.sum() == annotation["area"] == coco_mask.area(annotation["segmentation"])
        x, y, width, height = annotation["bbox"]
        assert mask[int(y) : int(y + height), int(x) : int(x + width)].sum() == mask.sum()


def test_the_attribute_rows_agree_with_the_annotations(dataset: Path) -> None:
    annotations = json.loads((dataset / "annotations" / "instances.json").read_text())
    by_id = {str(a["id"]): a for a in annotations["annotations"]}
    names = {i["id"]: i["file_name"] for i in annotations["images"]}
    with (dataset / "annotations" / "attributes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(by_id)
    for row in rows:
        annotation = by_id[row["annotation_id"]]
        assert names[annotation["image_id"]] == row["file_path"]
        parts = [row["category"], row["wash"], row["fit"], row["length"]]
        labels = [p for p in parts if p] + [d for d in row["details"].split(";") if d]
        assert row["label"].split() == labels
        assert annotation["attributes"] == labels[1:]
    with (dataset / "annotations" / "photos.csv").open() as file:
        photos = list(csv.DictReader(file))
    assert {p["path"] for p in photos} == {p.name for p in (dataset / "photos").iterdir()}
    listed = {p["path"] for p in photos if p["listed_as"] == "bottoms"}
    assert listed == {row["file_path"] for row in rows}


def test_a_longer_dataset_begins_with_the_shorter(dataset: Path, tmp_path: Path) -> None:
    draw_dataset(tmp_path, 3, seed=3)
    for path in (tmp_path / "photos").iterdir():
        assert path.read_bytes() == (dataset / "photos" / path.name).read_bytes()


def test_outlines_are_written_as_labelme_and_via_write_them(dataset: Path, tmp_path: Path) -> None:
    coco = COCO(str(dataset / "annotations" / "instances.json"))
    for name in ("labelme", "via"):
        draw_dataset(tmp_path / name, 8, seed=3, annotation_format=name)
        assert not (tmp_path / name / "annotations" / "instances.json").exists()
    entries = json.loads((tmp_path / "via" / "annotations" / "via.json").read_text())
    regions = {e["filename"]: e["regions"] for e in entries["_via_img_metadata"].values()}
    assert len(regions) == 8
    for image_id, image in list(coco.imgs.items())[:8]:
        found = json.loads(
            (tmp_path / "labelme" / "annotations" / "labelme" / image["file_name"])
            .with_suffix(".json").read_text()
        )  # fmt: skip
        folder = tmp_path / "labelme" / "annotations" / "labelme"
        assert (folder / found["imagePath"]).resolve().is_file()
        assert (found["imageWidth"], found["imageHeight"]) == (image["width"], image["height"])
        drawn = coco.loadAnns(coco.getAnnIds(image_id))
        shapes, areas = found["shapes"], regions[image["file_name"]]
        assert len(shapes) == len(areas) == len(drawn)
        for annotation, shape, region in zip(drawn, shapes, areas, strict=True):
            outline = region["shape_attributes"]
            points = list(zip(outline["all_points_x"], outline["all_points_y"], strict=True))
            assert [tuple(point) for point in shape["points"]] == points
            flat = [[value for point in points for value in point]]
            filled = coco_mask.merge(
                coco_mask.frPyObjects(flat, image["height"], image["width"])
            )
            assert coco_mask.iou([filled], [annotation["segmentation"]], [0])[0, 0] > 0.97
            category = coco.cats[annotation["category_id"]]["name"]
            assert shape["label"] == region["region_attributes"]["category"] == category
            assert set(shape["flags"]) == set(annotation["attributes"])


def test_an_unknown_annotation_format_names_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'labelme'"):
        draw_dataset(tmp_path, 1, seed=1, annotation_format="labelm")


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_catalog(tmp_path_factory.mktemp("catalog"))


def listed(catalog: Path) -> list[dict[str, str]]:
    with (catalog / "products.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_catalog_lists_every_file(catalog: Path) -> None:
    rows = listed(catalog)
    files = {p.relative_to(catalog).as_posix() for p in catalog.glob("*/*")}
    assert {r["image_id"] for r in rows} == files == {r["path"] for r in rows}
    assert len(rows) == 72
    assert all(r["image_id"].startswith(r["product_id"] + "/") and r["title"] for r in rows)
    products = [r["product_id"] for r in rows]
    assert 40 <= len(set(products)) < len(products)


def test_the_catalog_holds_sixty_good_pictures(catalog: Path) -> None:
    good = 0
    for row in listed(catalog):
        if Path(row["path"]).name in BROKEN:
            continue
        with Image.open(catalog / row["path"]) as image:
            image.load()
            assert min(image.size) >= 100
        good += 1
    assert good >= 60


def only(catalog: Path, name: str) -> Path:
    (path,) = catalog.glob(f"*/{name}")
    return path


def test_the_odd_files_are_what_they_say(catalog: Path) -> None:
    modes = {"cmyk.jpg": "CMYK", "palette.png": "P", "grey16.png": "I;16", "cutout.png": "RGBA"}
    for name in ODD:
        with Image.open(only(catalog, name)) as image:
            assert image.mode == modes.get(name, "RGB")
            if name == "exif_rotated.jpg":
                assert image.getexif()[0x0112] == 6
                assert ImageOps.exif_transpose(image).size == image.size[::-1]
            if name == "progressive.jpg":
                assert image.info.get("progressive")
            if name == "front.webp":
                assert image.format == "WEBP"


def test_the_broken_files_are_broken(catalog: Path) -> None:
    assert len(BROKEN) >= 8
    for name, (reason, _) in BROKEN.items():
        assert reason in REASONS
        path = only(catalog, name)
        if reason == "too_small":
            assert Image.open(path).size == (8, 8)
        elif reason == "unsupported_format":
            assert Image.open(path).format == "GIF"
        elif reason == "empty":
            assert path.read_bytes() == b""
        elif reason == "too_many_pixels":
            assert path.stat().st_size < 2000
            with pytest.raises(Image.DecompressionBombError):
                Image.open(path)
        else:
            with pytest.raises((OSError, SyntaxError)):
                Image.open(path).load()


def test_too_small_a_catalog_and_bad_shares_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least"):
        draw_catalog(tmp_path, count=3)
    with pytest.raises(ConfigError, match="share"):
        draw_dataset(tmp_path, count=3, seed=1, negatives=2.0)


def test_the_job_draws_and_says_what_it_drew(tmp_path: Path) -> None:
    job = [sys.executable, str(ROOT / "jobs" / "draw_catalog.py")]
    run = subprocess.run(
        [*job, "--dataset", "--count", "2", "--annotation-format", "via", "--output",
         str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=ROOT, env=_environment(),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "drew 2 pictures" in run.stdout
    assert (tmp_path / "annotations" / "via.json").is_file()
    bad = subprocess.run([*job, "--count", "1", "--output", str(tmp_path)], check=False,
                         capture_output=True, text=True, env=_environment())  # fmt: skip
    assert bad.returncode == 2 and "at least" in bad.stderr


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}

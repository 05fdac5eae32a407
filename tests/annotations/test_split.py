"""Photos are parted by chance, but the same way each time, and what belongs together stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from own import VOCABULARY, coco, codes, faults, run, save_photo, save_photos, written

from jeans_udf.annotations.checked import CheckedPhoto, Garment
from jeans_udf.annotations.faults import Place
from jeans_udf.annotations.listed import ListedGarment, ListedPhoto
from jeans_udf.annotations.photos import PhotoFile
from jeans_udf.annotations.products import find_products
from jeans_udf.annotations.split import Splitting, split_photos
from jeans_udf.errors import ConfigError
from jobs import import_annotations


def photo(
    name: str, *categories: str, sha256: str = "", product: str | None = None
) -> CheckedPhoto:
    garments = tuple(
        Garment(ListedGarment(Place("f"), None, one, None), one, {}, {}) for one in categories
    )
    file = PhotoFile(name, sha256 or name, 40, 60)
    return CheckedPhoto(ListedPhoto(Place("f"), name), file, Path("photos"), garments,
                        product_id=product)  # fmt: skip


def val(photos: list[CheckedPhoto], **settings: Any) -> set[str]:
    parted = split_photos(photos, Splitting(**settings))
    assert sorted(p.file.name for p in parted) == sorted(p.file.name for p in photos)
    return {p.file.name for p in parted if p.split == "val"}


def many() -> list[CheckedPhoto]:
    return [photo(f"{name}{n}", name) for name, count in
            (("jeans", 100), ("shorts", 40), ("leggings", 20)) for n in range(count)]  # fmt: skip


def test_the_share_holds_for_each_category() -> None:
    found = val(many(), val_share=0.2)
    for name, count in (("jeans", 20), ("shorts", 8), ("leggings", 4)):
        assert sum(one.startswith(name) for one in found) == count


def test_the_seed_decides_and_the_order_does_not() -> None:
    first = val(many(), seed=1)
    assert first == val(many()[::-1], seed=1) and len(first) == 24
    assert first != val(many(), seed=2)


def test_a_share_too_small_for_a_category_is_made_up_for() -> None:
    # 7 categories of 3 photos and a share of 0.15: no category by itself would give one.
    photos = [photo(f"{name}{n}", name) for name in "abcdefg" for n in range(3)]
    assert len(val(photos, val_share=0.15)) == 3


def test_products_and_the_same_bytes_stay_together() -> None:
    photos = [photo(f"{n}", "jeans", product=f"{n // 3}", sha256=f"{n % 50}") for n in range(60)]
    found = val(photos, by_product=True, val_share=0.3)
    # Photo 0 has the bytes of 50, 50 is of product 16, which has 48 to 50, and so on.
    for n in range(60):
        for other in range(60):
            if n // 3 == other // 3 or n % 50 == other % 50:
                assert (str(n) in found) == (str(other) in found)
    assert 12 <= len(found) <= 24
    apart = val(photos, val_share=0.3)
    assert any((f"{n}" in apart) != (f"{n + 1}" in apart) for n in range(0, 60, 3))
    assert all((f"{n}" in apart) == (f"{n + 50}" in apart) for n in range(10))


def test_both_splits_get_a_garment_if_there_are_two() -> None:
    photos = [photo("a", "jeans"), photo("b", "jeans"), *(photo(f"n{n}") for n in range(30))]
    for seed in range(5):
        for share in (0.01, 0.99):
            assert len(val(photos, seed=seed, val_share=share) & {"a", "b"}) == 1


def test_products_from_a_file_or_from_names(tmp_path: Path) -> None:
    file = tmp_path / "products.csv"
    file.write_text("path,product_id,more\n./in/p1.png,A,x\np2.png,B,y\n")
    listed = find_products(file, None)
    assert [listed.product_of(name) for name in ("in/p1.png", "p2.png", "p3.png")] == [
        "A", "B", None]  # fmt: skip
    named = find_products(None, r"^([^/]+)/")
    assert [named.product_of(name) for name in ("shop7/front.png", "p1.png")] == ["shop7", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,product\na,b\n", "column 'product_id' is missing"),
        ("path,product_id\na,\n", "line 2: wanted"),
        ("path,product_id\na,1\na,2\n", "is of product '1', too"),
        ("path,product_id\n\"a", "no CSV"),
        ("", "column 'path' is missing"),
    ],
)
def test_bad_product_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "products.csv").write_text(text)
    with pytest.raises(ConfigError, match=message):
        find_products(tmp_path / "products.csv", None)


@pytest.mark.parametrize("pattern", ["(", "abc", "(a)(b)"])
def test_bad_patterns_are_named(pattern: str) -> None:
    with pytest.raises(ConfigError, match="--product-pattern"):
        find_products(None, pattern)


def test_the_job_keeps_products_together_and_writes_them(tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 6)
    (tmp_path / "products.csv").write_text(
        "path,product_id\n" + "".join(f"p{n}.png,{'ABC'[n % 3]}\n" for n in range(1, 6))
    )
    products = ("--products", str(tmp_path / "products.csv"))
    assert run(tmp_path, coco(6), *products) == 2
    assert codes(tmp_path) == ["no_product"] and faults(tmp_path)[0]["photo"] == "p6.png"
    with (tmp_path / "products.csv").open("a") as file:
        file.write("p6.png,A\n")
    assert run(tmp_path, coco(6), *products) == 0
    sets = [{i["product_id"] for i in written(tmp_path, s)["images"]} for s in ("train", "val")]
    assert sets[0] | sets[1] == {"A", "B", "C"} and not sets[0] & sets[1]
    assert len(written(tmp_path, "val")["images"]) == 2


def given_splits(place: Path, *more: str) -> int:
    return import_annotations.main([
        "--photos", str(place / "photos"), "--train", str(place / "train.json"), "--val",
        str(place / "val.json"), "--output", str(place / "out"), "--vocabulary", str(VOCABULARY),
        *more,
    ])  # fmt: skip


def test_given_splits_are_checked_against_each_other(tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 4)
    save_photo(tmp_path / "photos" / "copy.png", 10)  # the bytes of p1.png
    data, other = coco(2), coco(2)
    for number, name in enumerate(["p3.png", "p4.png"]):
        other["images"][number]["file_name"] = name
    (tmp_path / "train.json").write_text(json.dumps(data))
    (tmp_path / "val.json").write_text(json.dumps(other))
    assert given_splits(tmp_path) == 0
    assert {i["file_name"] for i in written(tmp_path, "val")["images"]} == {"p3.png", "p4.png"}
    # Both files count from 1, so that the ids cannot be kept.
    ids = [i["id"] for s in ("train", "val") for i in written(tmp_path, s)["images"]]
    assert ids == [1, 2, 3, 4]
    other["images"] = [{**coco(1)["images"][0], "id": n, "file_name": name}
                       for n, name in enumerate(["copy.png", "p2.png", "p4.png"])]  # fmt: skip
    other["annotations"][0]["image_id"] = 2
    (tmp_path / "val.json").write_text(json.dumps(other))
    assert given_splits(tmp_path) == 2
    assert codes(tmp_path) == ["photo_in_two_splits"] * 2
    assert [fault["photo"] for fault in faults(tmp_path)] == ["copy.png", "p2.png"]
    assert given_splits(tmp_path, "--drop-faulty") == 0
    assert [i["file_name"] for i in written(tmp_path, "val")["images"]] == ["p4.png"]
    assert [i["file_name"] for i in written(tmp_path, "train")["images"]] == ["p1.png", "p2.png"]


def test_a_product_in_both_given_splits_is_a_fault(tmp_path: Path) -> None:
    save_photos(tmp_path / "photos", 3)
    data, other = coco(2), coco(1)
    other["images"][0]["file_name"] = "p3.png"
    (tmp_path / "train.json").write_text(json.dumps(data))
    (tmp_path / "val.json").write_text(json.dumps(other))
    assert given_splits(tmp_path, "--product-pattern", r"(\d)") == 0
    assert given_splits(tmp_path, "--product-pattern", "(p)") == 2
    assert codes(tmp_path) == ["product_in_two_splits"]

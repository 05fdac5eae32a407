"""Which files come in, and under which key."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from jeans_udf.errors import TableError
from jeans_udf.listing import list_folder, read_listing


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_folder_gives_what_is_named_like_an_image(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in ("b.JPG", "a/1.png", "a/deep/2.gif", "note.txt", ".hidden.jpg", ".git/3.jpg"):
        write(root / name)
    write(root / "page.jpg", b"<html>")

    found = list_folder(root)

    assert [(f.image_id, f.product_id) for f in found.files] == [
        ("b.JPG", "b"), ("page.jpg", "page"), ("a/1.png", "a"), ("a/deep/2.gif", "a"),
    ]  # fmt: skip
    assert found.files[1].size == 6
    assert found.notices == {"name does not end like an image's": 1, "hidden file": 1}


def test_links_and_pipes_are_passed_over(tmp_path: Path) -> None:
    outside = write(tmp_path / "secret.jpg")
    inside = write(tmp_path / "in" / "real.jpg")
    (tmp_path / "in" / "out.jpg").symlink_to(outside)
    (tmp_path / "in" / "alias.jpg").symlink_to(inside)
    (tmp_path / "in" / "folder").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "in" / "pipe.jpg")

    found = list_folder(tmp_path / "in")

    assert [f.image_id for f in found.files] == ["alias.jpg", "real.jpg"]
    assert found.notices == {"link out of the folder": 1, "not a regular file": 1}


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is no directory"):
        list_folder(tmp_path / "absent")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_listing_keeps_every_row(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "feed"
    write(folder / "pics" / "1.jpg")
    other = write(tmp_path / "other" / "2.jpg")
    frame = pd.DataFrame(
        {
            "path": ["pics/1.jpg", "pics/gone.jpg", "../other/2.jpg", "https://shop/3.jpg"],
            "product_id": ["p1", "p2", "p3", ""],
            "title": ["One", "Two", "NA", ""],
            "price": ["9", "9", "9", "9"],
        }
    )
    listing = folder / f"list{suffix}"
    frame.to_csv(listing, index=False) if suffix == ".csv" else frame.to_parquet(listing)

    found = read_listing(listing)

    ids = [(f.image_id, f.product_id, f.title, f.size) for f in found.files]
    assert ids == [
        ("pics/1.jpg", "p1", "One", 1),
        ("pics/gone.jpg", "p2", "Two", None),
        ("../other/2.jpg", "p3", "NA", None),
        ("https://shop/3.jpg", None, None, None),
    ]
    assert found.files[2].path == str(other)
    assert len(found.notices) == 4
    rooted = read_listing(listing, [other.parent])
    assert rooted.files[2].size == 1


def test_a_link_in_a_listing_does_not_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    (folder / "a.jpg").symlink_to(write(tmp_path / "secret"))
    (folder / "list.csv").write_text("path\na.jpg\n")

    assert read_listing(folder / "list.csv").files[0].size is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,product_id\na.jpg,p\n", "column 'path' is missing"),
        ("path,image_id\na.jpg,x\nb.jpg,x\n", "1 image_id stand there more than once, as 'x'"),
        ("path,product_id\n,p\n", "row 1: path is empty"),
        ("path,product_id\na,b,c,d,e\n", "line 2 has 5 fields, wanted the header's 2"),
        ("", "column 'path' is missing"),
    ],
)
def test_bad_listings_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        read_listing(tmp_path / "list.csv")


def test_other_files_are_no_listing(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="wanted a file named .csv or .parquet"):
        read_listing(tmp_path / "list.xlsx")
    with pytest.raises(TableError, match="cannot be read"):
        read_listing(tmp_path / "absent.csv")

"""A path from a row reads regular files below the roots, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jeans_udf import paths
from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.paths import read_image_file

BYTES = b"\x89PNG picture"
SECRET = b"the secret"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """root/a.jpg, root/sub/b 1%.jpg, and outside of the root secret.txt and root2/c.jpg."""
    (tmp_path / "root/sub").mkdir(parents=True)
    (tmp_path / "root2").mkdir()
    (tmp_path / "root/a.jpg").write_bytes(BYTES)
    (tmp_path / "root/sub/b 1%.jpg").write_bytes(BYTES)
    (tmp_path / "root2/c.jpg").write_bytes(SECRET)
    (tmp_path / "secret.txt").write_bytes(SECRET)
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Callable[..., bytes]:
    def read(path: object, *roots: str, **limits: int) -> bytes:
        places = tuple(str(folder / root) for root in roots or ("root",))
        return read_image_file(str(path), ImageLimits(roots=places, **limits))

    return read


def refused(read: Callable[..., bytes], path: object, *roots: str, **limits: int) -> str:
    with pytest.raises(Rejected) as caught:
        read(path, *roots, **limits)
    for words in ("secret", "jpg", "root", "example"):
        assert words not in caught.value.detail.replace("images.roots", "")
    return caught.value.reason


def test_ways_to_name_a_file_below_the_root(folder: Path, read: Callable[..., bytes]) -> None:
    root = folder / "root"
    for path in (
        f"{root}/a.jpg",
        f"/{root}/a.jpg",
        f"{root}/sub/../a.jpg",
        f"{folder}/root2/../root/./a.jpg",
        f"file://{root}/a.jpg",
        f"file:{root}/a.jpg",
        f"FILE://localhost{root}/a.jpg",
        f"file://{root}/sub/b%201%25.jpg",
        f"file:{root}/sub/b 1%.jpg",  # as Spark's binaryFile source writes it
        f"{root}/sub/b 1%.jpg",
        f"file://{root}/sub/%2e%2e/a.jpg",
        "a.jpg",
        "./sub/../a.jpg",
    ):
        assert read(path) == BYTES, path


def test_marks_of_urls_are_part_of_a_name(folder: Path, read: Callable[..., bytes]) -> None:
    for name in ("x#1.jpg", "x?1.jpg", "p:1.jpg", "100%.jpg", "ü.jpg"):
        (folder / "root" / name).write_bytes(BYTES)
        assert read(folder / "root" / name) == read(f"./{name}") == BYTES
        assert read(f"file://{folder}/root/{name}") == BYTES


def test_relative_means_the_first_root(folder: Path, read: Callable[..., bytes]) -> None:
    assert read("c.jpg", "root2", "root") == SECRET
    assert refused(read, "c.jpg", "root", "root2") == "missing_file"
    assert read(folder / "root2/c.jpg", "root", "root2") == SECRET


def test_outside_the_roots_is_forbidden(folder: Path, read: Callable[..., bytes]) -> None:
    root = folder / "root"
    for path in (
        "/etc/passwd",
        "../secret.txt",
        "sub/../../secret.txt",
        folder / "secret.txt",
        folder / "root2/c.jpg",  # a sibling whose name starts as the root's does
        folder / "nothing-here",  # not a word on whether it exists
        f"file://{root}/../secret.txt",
        f"file://{root}/%2e%2e/secret.txt",
        f"file://{root}/%2E%2E%2Fsecret.txt",
        f"file://{root}/..%2fsecret.txt",
        f"file://otherhost{root}/a.jpg",
        "/proc/self/environ",
        "/",
    ):
        assert refused(read, path) == "forbidden_path", path


def test_escapes_are_undone_once_and_only_in_urls(
    folder: Path, read: Callable[..., bytes]
) -> None:
    assert refused(read, "%2e%2e/secret.txt") == "missing_file"
    assert refused(read, f"file://{folder}/root/%252e%252e/secret.txt") == "missing_file"


@pytest.mark.parametrize(
    "path",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://example.com/a.jpg?signature=secret",
        "s3a://bucket/a.jpg",
        "hdfs:///a.jpg",
        "data:image/png;base64,AAAA",
        "jar:file:/a.jar!/a.jpg",
        "file://otherhost/etc/passwd",
        "file:a.jpg",
        "file://",
        "a.jpg\0.png",
        "file:///a%00.jpg",
        "\ud800.jpg",
    ],
)
def test_other_schemes_and_bad_names_are_forbidden(
    read: Callable[..., bytes], path: str
) -> None:
    assert refused(read, path) == "forbidden_path"


def test_without_roots_nothing_is_read(folder: Path) -> None:
    with pytest.raises(Rejected, match="forbidden_path.*images.roots"):
        read_image_file(str(folder / "root/a.jpg"), ImageLimits())


def test_links_are_followed_to_where_they_lead(folder: Path, read: Callable[..., bytes]) -> None:
    root = folder / "root"
    (root / "inside").symlink_to("a.jpg")
    (root / "outside").symlink_to(folder / "secret.txt")
    (root / "out").symlink_to(folder)
    (root / "loop").symlink_to("loop")
    (root / "gone").symlink_to(root / "nothing")
    (folder / "alias").symlink_to(root)
    assert read("inside") == BYTES
    assert read(folder / "alias/a.jpg") == read("a.jpg", "alias") == BYTES
    for path in ("outside", "out/secret.txt", "loop", "out/root/out/secret.txt"):
        assert refused(read, path) == "forbidden_path", path
    assert refused(read, "gone") == "missing_file"


@pytest.mark.parametrize("swapped", ["a.jpg", "sub"])
def test_link_put_in_place_after_the_check_leads_nowhere(
    folder: Path, read: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, swapped: str
) -> None:
    root = folder / "root"
    path = {"a.jpg": root / "a.jpg", "sub": root / "sub/secret.txt"}[swapped]
    target = {"a.jpg": folder / "secret.txt", "sub": folder}[swapped]
    resolved = os.path.realpath

    def swap(name: str) -> str:
        real = resolved(name)
        if real == str(path) and not (root / swapped).is_symlink():
            (root / swapped).rename(folder / "moved")
            (root / swapped).symlink_to(target)
        return real

    monkeypatch.setattr(paths.os.path, "realpath", swap)
    assert refused(read, path) in ("forbidden_path", "missing_file")
    assert (root / swapped).is_symlink()


def test_only_regular_files(folder: Path, read: Callable[..., bytes]) -> None:
    os.mkfifo(folder / "root/pipe")  # with nobody who writes: a blocking open would never return
    assert refused(read, "pipe") == "forbidden_path"
    for path in (".", "sub", "sub/", folder / "root"):
        assert refused(read, path) == "forbidden_path", path
    for device in ("/dev/zero", "/dev/null", "/dev/fd/0"):
        assert refused(read, device, "/dev") == "forbidden_path", device


def test_pipe_that_takes_the_files_place(
    folder: Path, read: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(folder / "root/pipe")
    regular = os.stat(folder / "root/a.jpg")
    monkeypatch.setattr(paths.os, "stat", lambda *_, **__: regular)
    before = len(os.listdir("/proc/self/fd"))
    assert refused(read, "pipe") == "forbidden_path"
    assert len(os.listdir("/proc/self/fd")) == before, "a descriptor stays open"


def test_missing_files(read: Callable[..., bytes]) -> None:
    for path in ("nothing.jpg", "nothing/a.jpg", "a.jpg/a.jpg", "", "x" * 300, "x/" * 3000):
        assert refused(read, path) == "missing_file", path[:20]
    assert refused(read, "a.jpg", "no-such-root") == "missing_file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read any file")
def test_no_permission_is_missing(folder: Path, read: Callable[..., bytes]) -> None:
    (folder / "root/a.jpg").chmod(0)
    assert refused(read, "a.jpg") == "missing_file"


def test_refusal_of_the_system_is_missing(
    read: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(paths.os, "open", fail)
    assert refused(read, "a.jpg") == "missing_file"


def test_size_limit_is_inclusive_and_bounds_the_reading(
    folder: Path, read: Callable[..., bytes]
) -> None:
    assert read("a.jpg", max_bytes=len(BYTES)) == BYTES
    assert refused(read, "a.jpg", max_bytes=len(BYTES) - 1) == "too_many_bytes"
    with open(folder / "root/huge.jpg", "wb") as file:
        file.truncate(10**13)  # 10 TB on paper: reading it all would end the test, or the machine
    assert refused(read, "huge.jpg", max_bytes=1000) == "too_many_bytes"


def test_empty_file_has_no_bytes(folder: Path, read: Callable[..., bytes]) -> None:
    (folder / "root/empty.jpg").touch()
    assert read("empty.jpg") == b""

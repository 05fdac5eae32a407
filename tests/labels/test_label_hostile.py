"""Whatever a label file holds, it ends in rows, faults or a `ConfigError`."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from label_files import VOCABULARY, WIDE, codes, write

from jeans_udf.errors import ConfigError
from jeans_udf.labels.reading import read_labels

HEAD = b"file_path,label\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbffile_path,label\na.jpg,dark wide\n",
        b"file_path,label\r\na.jpg,dark wide\r\n",
        b"file_path,label\ra.jpg,dark wide\r",
        b'"file_path", label\n\n\n"a.jpg","dark wide"',
    ],
    ids=["byte order mark", "Windows", "old Mac", "quotes and blank lines"],
)
def test_other_ways_to_write_a_csv(tmp_path: Path, content: bytes) -> None:
    file = read_labels(write(tmp_path, content), VOCABULARY)
    assert [(row.file_path, row.labels) for row in file.rows] == [("a.jpg", ("dark", "wide"))]
    assert file.faults == ()


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (b"caf\xe9.jpg,dark", "not UTF-8"),
        (b"a.jpg,d\xffark", "label: bytes that are not UTF-8"),
        (b"a\0.jpg,dark", "control sign"),
        (b"a.jpg,dark\0", "control sign"),
        (b'"a\n.jpg",dark', "control sign"),
        (b"a.jpg,dark\twide", "control sign"),
        (b"a.jpg," + b"x" * 200_000, "200,000 characters, wanted at most 100,000"),
        (b"a.jpg," + b" ".join(b"%d" % n for n in range(1001)), "more than 1,000 labels"),
        (b"a" * 5000 + b",dark", "file_path: 5,000 characters"),
        (b"a.jpg,dark,wide", "3 fields"),
        (HEAD.strip(), "the header again"),
    ],
)
def test_a_bad_row_is_a_fault_and_the_next_is_read(
    tmp_path: Path, row: bytes, detail: str
) -> None:
    file = read_labels(write(tmp_path, HEAD + row + b"\nb.jpg,light\n"), VOCABULARY)
    assert codes(file) == [("bad_row", 2)] and detail in file.faults[0].detail
    assert [one.file_path for one in file.rows] == ["b.jpg"]
    assert str(file.faults[0]).isprintable() and len(str(file.faults[0])) < 1200


def test_the_line_of_a_row_is_its_first(tmp_path: Path) -> None:
    file = read_labels(write(tmp_path, HEAD + b'"a\n\n",dark\nb.jpg,drk\n'), VOCABULARY)
    assert codes(file) == [("bad_row", 2), ("unknown_label", 5)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (HEAD, "has no row"),
        (HEAD + b'a.jpg,"dark\nb.jpg,wide\n' * 3, "no CSV, at line .* is a quote not closed"),
        (HEAD + b'a.jpg,"dark\nb.jpg,wide\n', "no CSV, at line 3 or before.* a quote not closed"),
        (HEAD + b'a.jpg,"' + b"x" * 10_000_001 + b'"\n', "no CSV"),
        ("file_path,label\na.jpg,dark\n".encode("utf-16"), "is UTF-16"),
        (b"\x1f\x8b\x08\0\n\xff\0,", "got the columns"),
        (b"PAR1 and no more", "no Parquet file"),
        (b"PAR1", "no Parquet file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read_labels(write(tmp_path, content), VOCABULARY)
    assert "labels.csv" in str(caught.value) and len(str(caught.value)) < 1000


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.parquet").mkdir()
    for name, message in [("folder.parquet", "is a folder"), ("gone.csv", "no regular file"),
                          ("a\0b", "no regular file")]:  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            read_labels(tmp_path / name, VOCABULARY)


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("file_path", None, "bad_row"),
        ("annotation_id", float("inf"), "bad_row"),
        ("wash", True, "bad_row"),
        ("wash", {"a": 1}, "bad_row"),
        ("wash", 1.5, "bad_row"),
        ("wash", 541, "unknown_label"),
        ("details", [["cuffed"]], "bad_row"),
        ("details", b"\xff", "bad_row"),
        ("category", "jorts", "unknown_category"),
    ],
)
def test_a_parquet_cell_of_another_type(
    tmp_path: Path, column: str, value: Any, fault: str
) -> None:
    names = WIDE.strip().split(",")
    table = pa.table({name: [None] if name != "file_path" else ["a.jpg"] for name in names})
    table = table.set_column(names.index(column), column, pa.array([value]))
    pq.write_table(table, tmp_path / "labels.parquet")
    assert codes(read_labels(tmp_path / "labels.parquet", VOCABULARY)) == [(fault, 1)]


def test_a_parquet_text_that_is_not_utf8_is_a_fault_of_its_row(tmp_path: Path) -> None:
    offsets, letters = pa.py_buffer(b"\0\0\0\0\4\0\0\0\5\0\0\0"), pa.py_buffer(b"dark\xff")
    label = pa.Array.from_buffers(pa.string(), 2, [None, offsets, letters])
    pq.write_table(pa.table({"file_path": ["a", "b"], "label": label}), tmp_path / "l.parquet")
    file = read_labels(tmp_path / "l.parquet", VOCABULARY)
    assert codes(file) == [("bad_row", 2)] and file.rows[0].labels == ("dark",)


def test_a_damaged_parquet_file_never_ends_in_a_traceback(tmp_path: Path) -> None:
    table = pa.table({"file_path": [f"{n}.jpg" for n in range(50)], "label": ["dark wide"] * 50})
    pq.write_table(table, tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    rng, refused = random.Random(0), 0
    for number in range(150):
        damaged = bytearray(whole[: rng.randrange(4, len(whole))] if number % 3 == 0 else whole)
        for _ in range(rng.randrange(1, 6)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        try:
            read_labels(write(tmp_path, bytes(damaged), "damaged.parquet"), VOCABULARY)
        except ConfigError as error:
            refused += 1
            assert "damaged.parquet" in str(error)
    assert refused > 50


def test_a_small_parquet_file_of_too_many_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jeans_udf.labels.parquet_table.MOST_ROWS", 100)
    table = pa.table({"file_path": ["a"], "label": [["dark"] * 101]})
    pq.write_table(table, tmp_path / "labels.parquet")
    with pytest.raises(ConfigError, match="more than 100 values"):
        read_labels(tmp_path / "labels.parquet", VOCABULARY)
    monkeypatch.setattr("jeans_udf.labels.reading.MOST_ROWS", 2)
    with pytest.raises(ConfigError, match="more than 2 rows"):
        read_labels(write(tmp_path, HEAD + b"a,\nb,\nc,\n"), VOCABULARY)

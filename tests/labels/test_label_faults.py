"""Every fault of a label file is named, counted, and refused or dropped as told."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest
from label_files import VOCABULARY, WIDE, codes, write

from jeans_udf.errors import ConfigError
from jeans_udf.labels.dropping import add_drop_faulty, dropped_codes, load_labels, settle
from jeans_udf.labels.faults import FAULTS, counts
from jeans_udf.labels.reading import read_labels


@pytest.mark.parametrize(
    ("row", "code", "detail"),
    [
        ("a.jpg,1,jeans,drak,,", "unknown_label", "wash: got 'drak'.*did you mean 'dark'"),
        ("a.jpg,1,jeans,wide,,", "unknown_label", "that is a label of fit"),
        ("a.jpg,1,jeans,,,FADED", "unknown_label", "did you mean 'faded'"),
        ("a.jpg,1,jeans,zzz,,", "unknown_label", "known: light, dark"),
        ("a.jpg,1,jean,,,", "unknown_category", "did you mean 'jeans'"),
        ("a.jpg,1,jeans,light;dark,,", "conflicting_labels", r"wash: got \['light', 'dark'\]"),
        ("a.jpg,1,shorts,dark,,", "label_not_applicable", "wash: .*'shorts'; it is asked of jeans"),
        (",1,jeans,,,", "bad_row", "file_path: is empty"),
        ("a.jpg,1b,jeans,,,", "bad_row", "annotation_id: got '1b', wanted a whole number"),
        ("a.jpg,1.5,jeans,,,", "bad_row", "annotation_id: got '1.5'"),
        ("a.jpg," + "9" * 5000 + ",jeans,,,", "bad_row", "annotation_id: got '999"),
        ("a.jpg,1,jeans,dark", "bad_row", "4 fields, wanted the header's 6"),
        (WIDE.strip(), "bad_row", "the header again"),
    ],
)
def test_a_fault_of_a_row(tmp_path: Path, row: str, code: str, detail: str) -> None:
    path = write(tmp_path, f"{WIDE}x.jpg,1,jeans,dark,wide,cargo\n{row}\n")
    file = read_labels(path, VOCABULARY)
    assert codes(file) == [(code, 3)]
    with pytest.raises(ConfigError, match=f"{path}.*line 3: {code}: .*{detail}"):
        settle([file])
    kept = settle([file], [code])[0].rows
    # Of an unknown label only the label goes; everything else takes its row along.
    assert [one.row for one in kept] == ([2, 3] if code == "unknown_label" else [2])


def test_faults_of_the_notebooks_format(tmp_path: Path) -> None:
    path = write(tmp_path, "file_path,label\na.jpg,dark light skiny\nb.jpg,shorts jeans\n"
                           "c.jpg,shorts dark\n")  # fmt: skip
    file = read_labels(path, VOCABULARY)
    assert codes(file) == [("unknown_label", 2), ("conflicting_labels", 2),
                           ("conflicting_labels", 3), ("label_not_applicable", 4)]  # fmt: skip
    assert "did you mean 'skinny'" in str(file.faults[0])


def test_rows_of_the_same_thing(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        WIDE + "a.jpg,1,jeans,dark,,\n"
        "a.jpg,2,jeans,dark,,\n"
        "./a.jpg,1.0,jeans,dark,,\n"  # says the same as line 2
        "b.jpg,,jeans,dark,,\n"
        "b.jpg,,jeans,dark,,\n"
        "b.jpg,,jeans,light,,\n",  # three of b.jpg that differ
    )
    file = read_labels(path, VOCABULARY)
    assert codes(file) == [("duplicate_row", row) for row in (4, 5, 6, 7)]
    assert "line 2" in file.faults[0].detail
    # Each names another one.
    assert ["line 6", "line 5", "line 5"] == [one.detail[:6] for one in file.faults[1:]]
    assert [row.row for row in settle([file], ["duplicate_row"])[0].rows] == [2, 3]


def test_all_faults_are_told_at_once_and_counted(tmp_path: Path) -> None:
    first = read_labels(write(tmp_path, "file_path,label\na,x1 dark\nb,x2\n", "1.csv"), VOCABULARY)
    rows = "".join(f"p{n},dark light\n" for n in range(50))
    second = read_labels(write(tmp_path, "file_path,label\n" + rows, "2.csv"), VOCABULARY)
    with pytest.raises(ConfigError) as caught:
        settle([first, second])
    text = str(caught.value)
    assert "52 faults" in text and "1.csv: a: line 2" in text and "2.csv: p0: line 2" in text
    assert "... and 32 more" in text and len(text.splitlines()) == 1 + 20 + 1 + 2 + 1
    assert "      2 unknown_label" in text and "     50 conflicting_labels" in text
    assert "--drop-faulty unknown_label --drop-faulty conflicting_labels" in text
    assert counts(first.faults) == {"unknown_label": 2}


def test_only_what_is_told_is_dropped(tmp_path: Path) -> None:
    path = write(tmp_path, "file_path,label\na,x1 dark\nb,dark light\nc,wide\n")
    with pytest.raises(ConfigError, match="1 faults"):
        load_labels(path, VOCABULARY, dropped=["conflicting_labels"])
    file = load_labels(path, VOCABULARY, dropped=dropped_codes(["all"]))
    assert [(row.file_path, row.labels) for row in file.rows] == [
        ("a", ("dark",)), ("c", ("wide",)),
    ]  # fmt: skip
    assert codes(file) == [("unknown_label", 2), ("conflicting_labels", 3)], "kept to be told"
    nothing = write(tmp_path, "file_path,label\nb,dark light\n")
    with pytest.raises(ConfigError, match="no row is left"):
        load_labels(nothing, VOCABULARY, dropped=["conflicting_labels"])


def test_the_option_knows_the_codes(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_drop_faulty(parser)
    assert dropped_codes(parser.parse_args([]).drop_faulty) == frozenset()
    given = ["--drop-faulty", "bad_row", "--drop-faulty", "missing_photo"]
    assert dropped_codes(parser.parse_args(given).drop_faulty) == {"bad_row", "missing_photo"}
    assert dropped_codes(parser.parse_args(["--drop-faulty", "all"]).drop_faulty) == set(FAULTS)
    with pytest.raises(SystemExit):
        parser.parse_args(["--drop-faulty", "bad"])
    assert "duplicate_row" in capsys.readouterr().err
    assert "unknown_label" in parser.format_help()


def test_photos_that_are_not_there(tmp_path: Path) -> None:
    folder, outside = tmp_path / "photos", tmp_path / "outside.jpg"
    (folder / "sub").mkdir(parents=True)
    outside.write_bytes(b"secret")
    (folder / "sub/there.jpg").write_bytes(b"some bytes")
    (folder / "empty.jpg").touch()
    (folder / "inner.jpg").symlink_to("sub/there.jpg")
    (folder / "leak.jpg").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.jpg")
    names = ["sub/there.jpg", "inner.jpg", str(folder / "sub/there.jpg"),
             "gone.jpg", "empty.jpg", "leak.jpg", "up/outside.jpg", "../outside.jpg", str(outside),
             "sub", "pipe.jpg", "sub/there.jpg/x", "https://shop/a.jpg", "a" * 4000]  # fmt: skip
    path = write(tmp_path, "file_path,label\n" + "".join(f"{name},dark\n" for name in names))
    file = read_labels(path, VOCABULARY, folder)
    assert codes(file) == [("missing_photo", row) for row in range(5, len(names) + 2)]
    assert "leads out of the photo folder" in file.faults[2].detail
    kept = settle([file], ["missing_photo"])[0].rows
    assert [row.row for row in kept] == [2, 3, 4]
    with pytest.raises(ConfigError, match="is no folder"):
        read_labels(path, VOCABULARY, tmp_path / "nowhere")

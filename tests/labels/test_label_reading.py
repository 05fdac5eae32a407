"""Label files of both kinds, as CSV and as Parquet."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from label_files import VOCABULARY, WIDE, write

from jeans_udf.errors import ConfigError
from jeans_udf.labels.labelled import Labelled, garment_labels
from jeans_udf.labels.reading import read_labels
from jeans_udf.vocabulary import load_vocabulary, parse_vocabulary

REAL = Path(__file__).parents[2] / "../shared/data"


def test_the_notebooks_format_is_read_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, "file_path,label\na.jpg,faded dark wide\nsub/b c.jpg,light\nc.jpg,\n")
    file = read_labels(path, VOCABULARY)
    assert file.rows == (
        Labelled("a.jpg", None, None, ("dark", "wide", "faded"), 2),
        Labelled("sub/b c.jpg", None, None, ("light",), 3),
        Labelled("c.jpg", None, None, (), 4),
    )
    assert file.faults == () and file.unlabelled == 1 and file.unit == "line"


def test_a_category_may_stand_among_the_notebooks_labels(tmp_path: Path) -> None:
    path = write(tmp_path, "file_path,label\na.jpg,jeans dark\nb.jpg,shorts  wide wide\n")
    rows = read_labels(path, VOCABULARY).rows
    assert [(row.category, row.labels) for row in rows] == [
        ("jeans", ("dark",)), ("shorts", ("wide",)),
    ]  # fmt: skip


def test_the_wide_format_wins_over_a_label_column(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "label,file_path,details,annotation_id,category,view,wash,fit\n"
        "nonsense,./x/../a.jpg,cargo; cuffed;,12.0,jeans,worn,dark,\n"
        'nonsense,"b,c.jpg",,,shorts,flat,,wide\n',
    )
    assert read_labels(path, VOCABULARY).rows == (
        Labelled("a.jpg", 12, "jeans", ("dark", "cuffed", "cargo"), 2),
        Labelled("b,c.jpg", None, "shorts", ("wide",), 3),
    )


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    path = write(tmp_path, WIDE + "a.jpg,1,jeans,dark,wide,cuffed;faded\nb.jpg,,,,,\n")
    table = pa.table(
        {
            "file_path": ["a.jpg", "b.jpg"],
            "annotation_id": [1.0, float("nan")],
            "category": pa.array(["jeans", None]).dictionary_encode(),
            "wash": [b"dark", None],
            "fit": [["wide"], None],
            "details": [["faded", "cuffed", None], []],
            "unused": [{"a": 1}, None],
        }
    )
    pq.write_table(table, tmp_path / "labels.parquet")
    file = read_labels(tmp_path / "labels.parquet", VOCABULARY)
    assert [replace(row, row=0) for row in file.rows] == [
        replace(row, row=0) for row in read_labels(path, VOCABULARY).rows
    ]
    assert [row.row for row in file.rows] == [1, 2] and file.unit == "row"
    # By its bytes, whatever its name.
    (tmp_path / "labels.parquet").rename(tmp_path / "labels.csv")
    assert read_labels(tmp_path / "labels.csv", VOCABULARY).rows == file.rows


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("file_path,wash,label", r"groups \['wash'\] and not of \['fit', 'details'\].*read label"),
        ("file_path,view", "got the columns 'file_path', 'view'; wanted file_path, and label"),
        ("path,label", "got the columns 'path', 'label'; wanted file_path"),
        ("file_path;label", "commas between the columns"),
        ("file_path,label,label", r"\['label'\] stand there twice"),
    ],
)
def test_other_columns_are_named(tmp_path: Path, header: str, message: str) -> None:
    path = write(tmp_path, header + "\na,b,c\n")
    with pytest.raises(ConfigError, match=message) as caught:
        read_labels(path, VOCABULARY)
    assert str(path) in str(caught.value)


def test_a_group_may_be_called_label(tmp_path: Path) -> None:
    vocabulary = parse_vocabulary(
        {"categories": ["jeans"], "groups": {"label": {"exclusive": False, "labels": ["a", "b"]}}},
        "test",
    )
    file = read_labels(write(tmp_path, "file_path,label\nx.jpg,b a\n"), vocabulary)
    # There is one category only, so it is that.
    assert file.rows == (Labelled("x.jpg", None, "jeans", ("a", "b"), 2),)


def test_labels_of_garments_are_those_with_an_annotation(tmp_path: Path) -> None:
    path = write(tmp_path, WIDE + "a.jpg,7,jeans,dark,,\na.jpg,8,shorts,,,cargo\nb.jpg,,jeans,,,\n")
    assert garment_labels(read_labels(path, VOCABULARY)) == {
        ("a.jpg", 7): ("jeans", ("dark",)),
        ("a.jpg", 8): ("shorts", ("cargo",)),
    }
    without = write(tmp_path, WIDE + "a.jpg,7,,dark,,\n")
    with pytest.raises(ConfigError, match="line 2: annotation 7 has no category"):
        garment_labels(read_labels(without, VOCABULARY))
    with pytest.raises(ConfigError, match="no row has an annotation_id"):
        garment_labels(read_labels(write(tmp_path, "file_path,label\na.jpg,dark\n"), VOCABULARY))


@pytest.mark.parametrize("label", ["jeans dark cuffed", "drk{n} skinny"])
def test_many_rows_take_seconds(tmp_path: Path, label: str) -> None:
    lines = (f"photo{n}.jpg,{label.format(n=n)}\n" for n in range(30_000))
    path = write(tmp_path, "file_path,label\n" + "".join(lines))
    start = time.process_time()
    file = read_labels(path, VOCABULARY)
    assert len(file.rows) == 30_000
    # Near names are looked for up to a number only: that is what takes time.
    assert not file.faults or file.faults[-1].detail.endswith("; see the vocabulary")
    assert time.process_time() - start < 10


@pytest.mark.skipif(not REAL.is_dir(), reason="the labelled photos (shared/data) are not here")
def test_the_real_labels_are_as_pandas_reads_them(tmp_path: Path) -> None:
    vocabulary = load_vocabulary("conf/vocabulary.yaml")
    path = REAL / "annotations/attributes_val.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    file = read_labels(path, vocabulary, REAL / "photos")
    assert file.faults == () and len(file.rows) == len(frame) == 201
    for row, known in zip(file.rows, frame.to_dict("records"), strict=True):
        assert (row.file_path, row.category) == (known["file_path"], known["category"])
        number = known["annotation_id"]
        assert row.annotation_id == (int(number) if number else None)
        assert {row.category, *row.labels} == set(known["label"].split())
    # The notebooks' column alone says the same.
    frame[["file_path", "label"]].to_csv(tmp_path / "notebook.csv", index=False)
    whole = read_labels(tmp_path / "notebook.csv", vocabulary)
    assert whole.faults == () and [(row.category, row.labels) for row in whole.rows] == [
        (row.category, row.labels) for row in file.rows
    ]

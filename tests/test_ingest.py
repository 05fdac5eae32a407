"""product_images follows the files, one commit at a time, and none when nothing differs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jeans_udf import tables
from jeans_udf.errors import JeansError, TableError
from jeans_udf.ingest import Ingested, Reading, _parts, _read, ingest
from jeans_udf.listing import SourceFile, list_folder, read_listing
from jeans_udf.table_names import Table, parse_table


def contents(spark: SparkSession, table: Table) -> dict[str, bytes | None]:
    rows = tables.read_table(spark, table).collect()
    return {row.image_id: None if row.image is None else bytes(row.image) for row in rows}


def counts(done: Ingested) -> tuple[int, int, int, int]:
    return done.inserted, done.updated, done.deleted, done.unchanged


def test_a_folder_and_what_becomes_of_it(spark: SparkSession, tmp_path: Path) -> None:
    folder, table = tmp_path / "in", parse_table(str(tmp_path / "product_images"))
    (folder / "p1").mkdir(parents=True)
    files = {"p1/a.jpg": b"a", "p1/b.png": b"", "c.gif": b"c", "big.jpg": b"0123456789"}
    for name, data in files.items():
        (folder / name).write_bytes(data)

    def run(mirror: bool = False) -> Ingested:
        return ingest(spark, table, list_folder(folder).files, Reading(max_bytes=9), mirror=mirror)

    assert counts(run()) == (4, 0, 0, 0)
    rows = {row.image_id: row for row in tables.read_table(spark, table).collect()}
    assert contents(spark, table) == files | {"big.jpg": None}
    assert {name: row.path for name, row in rows.items() if row.path} == {
        "big.jpg": str(folder / "big.jpg")
    }
    assert (rows["p1/a.jpg"].product_id, rows["c.gif"].product_id) == ("p1", "c")
    assert rows["c.gif"].updated_at.timestamp() == pytest.approx(
        os.path.getmtime(folder / "c.gif"), abs=1
    )

    os.utime(folder / "c.gif", (1, 1))  # the same bytes: no change
    again = run(mirror=True)
    assert (counts(again), again.version) == ((0, 0, 0, 4), 1)

    (folder / "p1/a.jpg").write_bytes(b"A")
    (folder / "d.jpg").write_bytes(b"d")
    (folder / "c.gif").unlink()
    changed = run()
    assert (counts(changed), changed.version) == ((1, 1, 0, 2), 2)
    mirrored = run(mirror=True)
    assert (counts(mirrored), mirrored.version) == ((0, 0, 1, 4), 3)
    assert contents(spark, table) == {
        "p1/a.jpg": b"A", "p1/b.png": b"", "d.jpg": b"d", "big.jpg": None,
    }  # fmt: skip

    with pytest.raises(TableError, match="--mirror found no image at all"):
        ingest(spark, table, [], Reading(), mirror=True)


def test_paths_only_from_a_listing(spark: SparkSession, tmp_path: Path) -> None:
    table = parse_table(str(tmp_path / "paths"))
    listing = tmp_path / "list.csv"
    (tmp_path / "a.jpg").write_bytes(b"a")
    listing.write_text('path,product_id,title\na.jpg,p,"Jeans, blue"\ngone.jpg,p,\n')
    reading = Reading(with_bytes=False)

    assert counts(ingest(spark, table, read_listing(listing).files, reading)) == (2, 0, 0, 0)
    rows = {row.image_id: row for row in tables.read_table(spark, table).collect()}
    assert (rows["a.jpg"].image, rows["a.jpg"].title) == (None, "Jeans, blue")
    assert rows["gone.jpg"].path == str(tmp_path / "gone.jpg")
    assert rows["gone.jpg"].updated_at is None

    os.utime(tmp_path / "a.jpg", (1, 1))  # of a path only the time tells
    assert counts(ingest(spark, table, read_listing(listing).files, reading)) == (0, 1, 0, 1)


def test_another_table_is_not_overwritten(spark: SparkSession, tmp_path: Path) -> None:
    other = parse_table(str(tmp_path / "other"))
    spark.range(1).coalesce(1).write.format("delta").save(other.text)
    with pytest.raises(TableError, match="column image_id .string. is missing"):
        ingest(spark, other, [], Reading())


def test_parts_are_bounded_in_bytes() -> None:
    files = [SourceFile(str(n), None, "", size, None) for n, size in enumerate([40, 30, 90, 1])]
    millions = [
        SourceFile(f.image_id, None, "", (f.size or 0) * 1_000_000, None) for f in files
    ]
    assert [[f.image_id for f in part] for part in _parts(millions)] == [["0"], ["1"], ["2"], ["3"]]
    assert [len(part) for part in _parts(files)] == [4]


def test_an_executor_without_the_folder_fails_instead_of_emptying_rows(tmp_path: Path) -> None:
    file = tmp_path / "photos" / "a.jpg"
    file.parent.mkdir()
    file.write_bytes(b"bytes")
    assert _read(str(file), 100) == b"bytes" and _read(str(file), 4) is None
    file.unlink()
    assert _read(str(file), 100) is None, "gone since it was listed"
    file.parent.rmdir()
    with pytest.raises(JeansError, match="cannot read it .*, the driver can"):
        _read(str(file), 100)

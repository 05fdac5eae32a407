"""Small files on a file system of Spark's."""

from __future__ import annotations

import threading
from pathlib import Path

from pyspark.sql import SparkSession

from jeans_udf import folders


def test_a_file_is_there_whole_or_not_at_all(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "work" / "text"
    texts = {"a" * 50_000, "b" * 50_000}
    folders.write_text(spark, str(file), max(texts))
    over = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        while not over.is_set():
            seen.add(file.read_text())

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(100):
        for text in texts:
            folders.write_text(spark, str(file), text)
    over.set()
    reader.join()
    assert seen == texts


def test_what_is_not_there(spark: SparkSession, tmp_path: Path) -> None:
    assert folders.read_text(spark, f"{tmp_path}/none") is None
    assert folders.child_names(spark, f"{tmp_path}/none") == []
    folders.delete(spark, f"{tmp_path}/none")


def test_hidden_files_are_no_children(spark: SparkSession, tmp_path: Path) -> None:
    folders.write_text(spark, f"{tmp_path}/b", "Jeans – blau")
    folders.write_text(spark, f"{tmp_path}/a", "")
    (tmp_path / ".b.draft").write_text("x")
    assert folders.child_names(spark, str(tmp_path)) == ["a", "b"]
    assert folders.read_text(spark, f"{tmp_path}/b") == "Jeans – blau"

"""Folders on whatever file system Spark reaches (local, HDFS, S3, ...), through Hadoop's client."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession


def exists(spark: SparkSession, path: str) -> bool:
    place, system = _open(spark, path)
    return bool(system.exists(place))


def child_names(spark: SparkSession, path: str) -> list[str]:
    """Names in a folder, sorted; none when there is no such folder."""
    place, system = _open(spark, path)
    if not system.exists(place):
        return []
    return sorted(status.getPath().getName() for status in system.listStatus(place))


def file_states(spark: SparkSession, paths: list[str]) -> list[str]:
    """Path, size and time of change of each file, one line each."""
    states = []
    for path in paths:
        place, system = _open(spark, path)
        status = system.getFileStatus(place)
        states.append(f"{path}\t{status.getLen()}\t{status.getModificationTime()}")
    return states


def changed_at(spark: SparkSession, path: str) -> float:
    """When a file was written last, in seconds, by its file system; FileNotFoundError."""
    place, system = _open(spark, path)
    if not system.exists(place):
        raise FileNotFoundError(path)
    return float(system.getFileStatus(place).getModificationTime()) / 1000


def read_text(spark: SparkSession, path: str) -> str | None:
    """The text of a small file; None when it is not there."""
    place, system = _open(spark, path)
    if not system.exists(place):
        return None
    stream = system.open(place)
    try:
        return bytes(stream.readAllBytes()).decode("utf-8")
    finally:
        stream.close()


def delete(spark: SparkSession, path: str) -> None:
    """Remove a file or a whole folder; fine when it is not there."""
    place, system = _open(spark, path)
    system.delete(place, True)


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write a small file, replacing one of the same name."""
    place, system = _open(spark, path)
    stream = system.create(place, True)
    try:
        stream.write(bytearray(text.encode("utf-8")))
    finally:
        stream.close()


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    place = spark._jvm.org.apache.hadoop.fs.Path(path)
    return place, place.getFileSystem(spark._jsc.hadoopConfiguration())

"""Folders on whatever file system Spark reaches (local, HDFS, S3, ...), through Hadoop's client."""

from __future__ import annotations

import uuid
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession


def exists(spark: SparkSession, path: str) -> bool:
    place, system = _open(spark, path)
    return bool(system.exists(place))


def child_names(spark: SparkSession, path: str) -> list[str]:
    """Names in a folder but hidden ones, sorted; none when there is no such folder."""
    place, system = _open(spark, path)
    if not system.exists(place):
        return []
    names = (status.getPath().getName() for status in system.listStatus(place))
    return sorted(name for name in names if not name.startswith("."))


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


def size(spark: SparkSession, path: str) -> int:
    """Bytes of all files below a folder; FileNotFoundError of Hadoop's when it is not there."""
    place, system = _open(spark, path)
    return int(system.getContentSummary(place).getLength())


def read_text(spark: SparkSession, path: str) -> str | None:
    """The text of a small file; None when it is not there."""
    place, system = _open(spark, path)
    try:
        stream = system.open(place)
    except Py4JJavaError as error:
        # Not asked for before: between question and answer its writer may take it away.
        if "FileNotFoundException" in str(error.java_exception):
            return None
        raise
    try:
        return bytes(stream.readAllBytes()).decode("utf-8")
    finally:
        stream.close()


def delete(spark: SparkSession, path: str) -> None:
    """Remove a file or a whole folder; fine when it is not there."""
    place, system = _open(spark, path)
    system.delete(place, True)


def write_text(spark: SparkSession, path: str, text: str) -> None:
    """Write a small file, replacing one of the same name.

    Whoever is killed meanwhile leaves the old text or the new one on a local disk and in an object
    store; on HDFS it can be the beginning of the new one.
    """
    place, system = _open(spark, path)
    local = _is_local(system)
    draft = place
    if local:
        draft = spark._jvm.org.apache.hadoop.fs.Path(
            place.getParent(), f".{place.getName()}.{uuid.uuid4().hex}"
        )
    stream = system.create(draft, True)
    try:
        stream.write(bytearray(text.encode("utf-8")))
    finally:
        stream.close()
    if local and not system.rename(draft, place):
        raise OSError(f"{path}: cannot be written")


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    place = spark._jvm.org.apache.hadoop.fs.Path(path)
    system = place.getFileSystem(spark._jsc.hadoopConfiguration())
    if _is_local(system):
        # Without the checksums beside each file, which are replaced at another moment than it.
        system = system.getRawFileSystem()
    return place, system


def _is_local(system: Any) -> bool:
    return str(system.getUri().getScheme()) == "file"

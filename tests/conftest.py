"""Fixtures for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from jeans_udf.session import build_session


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One JVM for the whole run; two partitions, since the tests' tables hold a handful of rows."""
    session = build_session("tests", {"spark.sql.shuffle.partitions": "2"}, master="local[2,4]")
    yield session
    session.stop()

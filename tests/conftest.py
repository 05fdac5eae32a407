"""Fixtures for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from jeans_udf.session import build_session

LONGEST = ("test_readme.py", "test_killed_driver.py", "test_refresh.py", "test_pipeline.py")
"""Files that take minutes: begun first, so that no process is left alone with one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: names.get(item.path.name, len(LONGEST)))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """One JVM a process; two partitions, since the tests' tables hold a handful of rows."""
    settings = {
        "spark.sql.shuffle.partitions": "2",
        "spark.databricks.delta.snapshotPartitions": "1",
        # Compiling a query takes longer than running it on so few rows.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        # VACUUM lists a table's folder in so many tasks, one folder or not; Spark's default is 10000.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        # The tests run in several processes, which must not share a schema's folder.
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    session = build_session("tests", settings, master="local[2,4]")
    yield session
    session.stop()

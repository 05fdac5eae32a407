"""Fixtures for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from jeans_udf.session import build_session

# Two processes on two cores: torch's threads, one a core in each, would wait for one another. Set
# before anything imports torch; the jobs that tests start take it over.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = (
    "test_refresh.py", "test_readme.py", "test_pipeline.py", "test_beside_others.py",
    "test_killed_driver.py", "test_demo.py", "test_lease.py",
)  # fmt: skip
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
        # VACUUM lists a table in so many tasks, however few its files are: 10000 by default.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "2",
        # The tests run in several processes, which must not share a schema's folder.
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    session = build_session("tests", settings, master="local[2,4]")
    yield session
    session.stop()

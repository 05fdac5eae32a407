"""A driver in a process of its own, its source and its tables: what the crash tests share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jeans_udf import tables
from jeans_udf.schemas import PRODUCT_IMAGES
from jeans_udf.table_names import parse_table

TESTS = Path(__file__).parents[1]
IMAGES_A_FILE = 10
TABLES = {"image_status": "image_id", "garments": "garment_id", "garment_crops": "garment_id"}
APART = ["tagged_at", "run_id"]
"""Columns that another run may fill otherwise."""


def put_source(spark: SparkSession, folder: Path, files: int) -> None:
    """A first catalog in files of its own; images of every kind."""
    table = parse_table(f"{folder}/source")
    tables.ensure_table(spark, table, PRODUCT_IMAGES, "images", hint="")
    kinds = [b"2 dark", b"1 light", b"0", b"broken"]
    for number in range(files):
        keys = [f"{number:02}-{n}" for n in range(IMAGES_A_FILE)]
        rows = [
            (key, f"p{n}", kinds[n % len(kinds)], None, None, None, None)
            for n, key in enumerate(keys)
        ]
        tables.append(spark.createDataFrame(rows, PRODUCT_IMAGES).coalesce(1), table)
    (folder / "calls").mkdir()


def change_source(spark: SparkSession, folder: Path) -> None:
    """New bytes, another product, rows that go and rows that come."""
    name = parse_table(f"{folder}/source").sql
    spark.sql(f"UPDATE {name} SET image = CAST('1 light' AS binary) WHERE image_id LIKE '%-0'")
    spark.sql(f"UPDATE {name} SET product_id = 'other' WHERE image_id LIKE '%-1'")
    spark.sql(f"DELETE FROM {name} WHERE image_id LIKE '%-5'")
    spark.sql(
        f"INSERT INTO {name} (image_id, product_id, image) "
        "SELECT concat('new-', id), 'p', CAST('1 dark' AS binary) FROM range(20)"
    )


class Driver:
    """The driver as a process group of its own: Python, its JVM and what that starts."""

    def __init__(self, folder: Path, run_id: str, extra: Mapping[str, str] | None = None) -> None:
        self.log = (folder / "log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "crash" / "stub_driver.py"), str(folder), run_id],
            env=os.environ | {"PYTHONPATH": f"{TESTS.parent}:{TESTS}"} | dict(extra or {}),
            stdout=subprocess.PIPE, stderr=self.log, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == "started"

    def kill_after(self, seconds: float) -> bool:
        """Whether it was still at work then."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return self.close(alive=True)
        return self.close(alive=False)

    def finish(self) -> float:
        """Seconds that it took."""
        start = time.monotonic()
        assert self.process.wait(1800) == 0
        self.close(alive=False)
        return time.monotonic() - start

    def close(self, alive: bool) -> bool:
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
        return alive


def values(folder: Path) -> dict[str, pd.DataFrame]:
    """The tables, in the order of their keys."""
    found = {}
    for name, key in TABLES.items():
        frame = DeltaTable(str(folder / "out" / name)).to_pandas()
        assert frame[key].is_unique, f"{name}: a key stands twice"
        frame = frame.drop(columns=[c for c in APART if c in frame])
        found[name] = frame.sort_values(key).reset_index(drop=True)
    return found

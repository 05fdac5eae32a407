"""A driver killed at random moments and started again: no row lost, none doubled.

One moment of a small first run in the ordinary test run, which has to be short; with
``CRASHES=30 pytest tests/crash -s`` thirty, of larger first runs and of refreshes, and a count of
the images that were looked at again.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from stub_tagger import looked_at

from jeans_udf import tables
from jeans_udf.schemas import PRODUCT_IMAGES
from jeans_udf.tables import parse_table

TESTS = Path(__file__).parents[1]
CRASHES = int(os.environ.get("CRASHES", "1"))
STEPS = 2 if CRASHES > 1 else 1
KILLS_A_STEP = 3
FILES, IMAGES_A_FILE, FILES_A_BATCH = (12 if CRASHES > 1 else 6), 10, 3
TABLES = {"image_status": "image_id", "garments": "garment_id", "garment_crops": "garment_id"}
APART = ["tagged_at", "run_id"]
"""Columns that another run may fill otherwise."""


def put_source(spark: SparkSession, folder: Path) -> None:
    """A first catalog in files of its own; images of every kind."""
    table = parse_table(f"{folder}/source")
    tables.ensure_table(spark, table, PRODUCT_IMAGES, "images", hint="")
    kinds = [b"2 dark", b"1 light", b"0", b"broken"]
    for number in range(FILES):
        keys = [f"{number:02}-{n}" for n in range(IMAGES_A_FILE)]
        rows = [
            (key, f"p{n}", kinds[n % len(kinds)], None, None, None, None)
            for n, key in enumerate(keys)
        ]
        tables.append(spark.createDataFrame(rows, PRODUCT_IMAGES).coalesce(1), table)


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
    """The driver as a process group of its own: Python and its JVM die together."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.log = (folder / "log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "crash" / "stub_driver.py"), str(folder), run_id],
            env=os.environ | {"PYTHONPATH": f"{TESTS.parent}:{TESTS}"},
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
        assert self.process.wait(300) == 0
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


def test_killed_at_random_and_started_again(spark: SparkSession, tmp_path: Path) -> None:
    untouched, undisturbed = tmp_path / "untouched", tmp_path / "undisturbed"
    untouched.mkdir()
    put_source(spark, untouched)
    (untouched / "calls").mkdir()
    shutil.copytree(untouched, undisturbed)
    wanted = life_of(spark, undisturbed, [None] * STEPS, None)
    chance = random.Random(6)
    kills, again, lives = 0, 0, 0
    while kills < CRASHES:
        folder = tmp_path / f"life{lives}"
        shutil.copytree(untouched, folder)
        a_step = min(KILLS_A_STEP, -(-(CRASHES - kills) // STEPS))
        life = life_of(spark, folder, wanted.seconds, chance, a_step)
        for step, other in zip(life.tables, wanted.tables, strict=True):
            for name in TABLES:
                pd.testing.assert_frame_equal(step[name], other[name])
        assert life.seen.keys() == wanted.seen.keys()
        more = sum(life.seen.values()) - sum(wanted.seen.values())
        assert more <= life.kills * FILES_A_BATCH * IMAGES_A_FILE
        kills, again, lives = kills + life.kills, again + more, lives + 1
        print(f"{kills} kills in {lives} lives; {again} images looked at again", flush=True)
        shutil.rmtree(folder)


@dataclass
class Life:
    """A first run and one after changes, each with its kills."""

    seconds: list[float | None] = field(default_factory=list)
    tables: list[dict[str, pd.DataFrame]] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    kills: int = 0


def life_of(
    spark: SparkSession,
    folder: Path,
    seconds: list[float | None],
    chance: random.Random | None,
    kills: int = 0,
) -> Life:
    """Go through the two steps; ``seconds`` are what they take undisturbed."""
    life = Life()
    for number, usual in enumerate(seconds):
        if number:
            change_source(spark, folder)
        for kill in range(kills):
            assert chance is not None and usual is not None
            driver = Driver(folder, f"step{number}.{kill}")
            life.kills += driver.kill_after(chance.uniform(0.1, usual))
        life.seconds.append(Driver(folder, f"step{number}").finish())
        life.seen.update(looked_at(folder / "calls"))
        life.tables.append(values(folder))
    return life

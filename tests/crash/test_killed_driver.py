"""A driver killed at random moments and started again: no row lost, none doubled.

One moment in the work of a small first run in the ordinary test run, which has to be short; with
``CRASHES=30 pytest tests/crash -s`` thirty, of larger first runs and of refreshes, and a count of
the images that were looked at again.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest
from driver_process import IMAGES_A_FILE, TABLES, Driver, change_source, put_source, values
from pyspark.sql import SparkSession
from stub_driver import tag
from stub_tagger import looked_at

CRASHES = int(os.environ.get("CRASHES", "0"))
STEPS = 2
KILLS_A_STEP = 3
FILES, FILES_A_BATCH = 12, 3


def test_killed_in_the_middle_and_started_again(spark: SparkSession, tmp_path: Path) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    killed.mkdir()
    put_source(spark, killed, 2 * FILES_A_BATCH)
    shutil.copytree(killed, undisturbed)
    # A process of its own would take longer to start than to work.
    tag(spark, undisturbed, "undisturbed")
    wanted, seen = values(undisturbed), looked_at(undisturbed / "calls")
    driver = Driver(killed, "killed")
    while not any((killed / "calls").iterdir()):
        assert driver.process.poll() is None
        time.sleep(0.02)
    # The first of two batches is being tagged: its commits and the other batch are to come.
    assert driver.kill_after(random.Random(6).uniform(0.0, 2.0)), "it was done already"
    Driver(killed, "again").finish()
    for name, table in values(killed).items():
        pd.testing.assert_frame_equal(table, wanted[name])
    again = Counter(looked_at(killed / "calls")) - Counter(seen)
    assert sum(again.values()) <= FILES_A_BATCH * IMAGES_A_FILE


@pytest.mark.skipif(not CRASHES, reason="half an hour of kills; CRASHES=30 runs them")
def test_killed_at_random_and_started_again(spark: SparkSession, tmp_path: Path) -> None:
    untouched, undisturbed = tmp_path / "untouched", tmp_path / "undisturbed"
    untouched.mkdir()
    put_source(spark, untouched, FILES)
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

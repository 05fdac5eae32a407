"""An executor and a Python worker killed in the middle of a batch: the run goes on, and is right.

On Spark's local-cluster, whose executors are processes; they start slowly, so that these run with
``CRASHES`` set, as ``CRASHES=30 pytest tests/crash -s``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest
from driver_process import TABLES, Driver, put_source, values
from pyspark.sql import SparkSession
from stub_tagger import looked_at

FILES = 6
CLUSTER = {"STUB_MASTER": "local-cluster[2,1,1024]", "STUB_SECONDS": "0.3"}

pytestmark = pytest.mark.skipif(
    "CRASHES" not in os.environ, reason="minutes of an own cluster; CRASHES=30 runs them"
)


def pids(*options: str) -> list[int]:
    found = subprocess.run(["pgrep", *options], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def kill_an_executor(group: int) -> int:
    pid = pids("-g", str(group), "-f", "CoarseGrainedExecutorBackend")[0]
    os.kill(pid, signal.SIGKILL)
    return pid


def kill_a_python_worker(group: int) -> int:
    """A child of one of PySpark's daemons, which make groups of their own."""
    executors = pids("-g", str(group), "-f", "CoarseGrainedExecutorBackend")
    daemons = [pid for executor in executors for pid in pids("-P", str(executor))]
    worker = next(pid for daemon in daemons for pid in pids("-P", str(daemon)))
    os.kill(worker, signal.SIGKILL)
    return worker


@pytest.fixture(scope="module")
def undisturbed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    put_source(spark, folder, FILES)
    Driver(folder, "undisturbed").finish()
    looked_at(folder / "calls")
    return folder


@pytest.mark.parametrize("kill", [kill_an_executor, kill_a_python_worker])
def test_killed_in_the_middle_of_a_batch(undisturbed: Path, tmp_path: Path, kill) -> None:  # type: ignore[no-untyped-def]
    wanted = values(undisturbed)
    shutil.copytree(undisturbed / "source", tmp_path / "source")
    (tmp_path / "calls").mkdir()
    driver = Driver(tmp_path, "disturbed", CLUSTER)
    killed = []
    for images in (5, 20, 35):
        while len(list((tmp_path / "calls").iterdir())) < images:
            assert driver.process.poll() is None
            time.sleep(0.05)
        killed.append(kill(driver.process.pid))
    driver.finish()
    found = values(tmp_path)
    for name in TABLES:
        pd.testing.assert_frame_equal(found[name], wanted[name])
    seen = looked_at(tmp_path / "calls")
    print(f"killed {killed}: {len(seen)} looks at {len(set(seen))} images", flush=True)
    assert len(set(killed)) == 3
    assert len(set(seen)) == FILES * 10

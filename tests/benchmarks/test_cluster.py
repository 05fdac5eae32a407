"""The standalone cluster of the trials: started, disturbed, gone; its GPUs; tables compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deltalake import write_deltalake
from pyarrow import table

from benchmarks.cluster.compare import first_difference, is_equal
from benchmarks.cluster.faults import FAULTS
from benchmarks.cluster.packing import is_left_out
from benchmarks.cluster.standalone import SPARK_HOME, StandaloneCluster, processes
from benchmarks.cluster.submit import wait_for_tasks
from jeans_udf.errors import JeansError
from jeans_udf.session import delta_jars

HERE = Path(__file__).resolve().parent


def test_tasks_of_the_pass_get_a_gpu_each_and_a_killed_worker_is_noticed(tmp_path: Path) -> None:
    fake = {"spark.worker.resource.gpu.amount": "2",
            "spark.worker.resource.gpu.discoveryScript": str(HERE / "fake_gpus.sh")}  # fmt: skip
    settings = {
        "spark.executor.resource.gpu.amount": "2", "spark.executor.cores": "2",
        "spark.executor.memory": "512m", "spark.driver.memory": "512m",
        "spark.driver.host": "127.0.0.1", "spark.ui.enabled": "false",
        "spark.pyspark.python": sys.executable, "spark.pyspark.driver.python": sys.executable,
        "spark.jars": ",".join(map(str, delta_jars())),
        "spark.log.structuredLogging.enabled": "true",
    }  # fmt: skip
    with StandaloneCluster(tmp_path / "cluster", fake) as cluster:
        cluster.add_worker("one", cores=2, memory="1g")
        command = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", cluster.url]
        for key, value in settings.items():
            command += ["--conf", f"{key}={value}"]
        done = subprocess.run(
            [*command, str(HERE / "gpu_addresses.py"), str(tmp_path / "rows.json")],
            env=os.environ | {"PYTHONPATH": str(HERE.parents[1])}, capture_output=True, text=True,
            check=False, timeout=180,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        rows = json.loads((tmp_path / "rows.json").read_text())
        assert {row["address"] for row in rows} == {"0", "1"} and len(rows) == 4
        assert {row["cpus"] for row in rows} == {1}
        logs = [file.read_text() for file in (tmp_path / "cluster").rglob("stderr")]
        assert any("the-run-of-the-test" in text for text in logs), "no log line names the run"
        cluster.kill_worker("one")
        deadline = time.monotonic() + 60
        while cluster.alive():
            assert time.monotonic() < deadline, "the master still counts on a killed worker"
            time.sleep(0.5)
    assert not processes(str(tmp_path / "cluster"))


def write(folder: Path, score: float, crop: bytes, key: str = "g1") -> Path:
    rows = {
        "image_status": {"image_id": ["a"], "status": ["tagged"], "run_id": [folder.name]},
        "garments": {"garment_id": [key], "score": [score], "tagged_at": [folder.name]},
        "garment_crops": {"garment_id": [key], "crop": [crop]},
        "image_detections": {"image_id": ["a"], "detections": [[{"scores": [score]}]]},
    }
    for name, columns in rows.items():
        write_deltalake(str(folder / name), table(columns))
    return folder


def test_tables_are_equal_by_value_whatever_run_wrote_them(tmp_path: Path) -> None:
    one = write(tmp_path / "one", 0.5, b"png")
    assert first_difference(one, write(tmp_path / "two", 0.50001, b"png")) is None
    assert first_difference(one, write(tmp_path / "three", 0.51, b"png")) == "garments: g1: score"
    assert first_difference(one, write(tmp_path / "four", 0.5, b"PNG")) == "garment_crops: g1: crop"
    assert "g1 is in one only (2 such" in str(
        first_difference(one, write(tmp_path / "five", 0.5, b"png", key="g2"))
    )


@pytest.mark.parametrize(
    ("one", "two", "equal"),
    [(1.0, 1.00001, True), (1.0, 1.1, False), ([1.0], [1.0, 2.0], False),
     ({"a": 1}, {"b": 1}, False), (None, None, True), (None, 0.0, False),
     ({"a": [0.0]}, {"a": [0.00005]}, True)],
)  # fmt: skip
def test_floats_are_compared_with_a_tolerance(one: object, two: object, equal: bool) -> None:
    assert is_equal(one, two) is equal


def test_tasks_count_once_they_are_committed(tmp_path: Path) -> None:
    staged = tmp_path / "key" / "stream" / "0" / "_temporary" / "0"
    for folder in ("_temporary/attempt_1_m_0", "task_1_m_1"):
        (staged / folder).mkdir(parents=True)
    (staged / "_temporary" / "attempt_1_m_0" / "part-00000-x.parquet").touch()
    with pytest.raises(JeansError, match="1 tasks did not end"):
        wait_for_tasks(tmp_path, 1, seconds=0.3)
    (staged / "task_1_m_1" / "part-00001-x.parquet").touch()
    assert wait_for_tasks(tmp_path, 1, seconds=5) == 1


def test_an_executor_needs_no_tests_and_no_headers() -> None:
    assert is_left_out(("pandas", "tests", "test_x.py"), ".py")
    assert is_left_out(("torch", "lib", "libx.a"), ".a")
    assert not is_left_out(("torch", "nn", "modules.py"), ".py")
    assert {"worker", "executor", "late", "slow", "dynamic"} <= set(FAULTS)

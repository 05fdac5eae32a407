"""The session: Delta on local jars, our defaults, and whoever sets something else wins."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from pyspark.sql import SparkSession

from jeans_udf import session as session_module
from jeans_udf.session import COMMON_SETTINGS, DELTA_SETTINGS, LATE_C2, LOCAL_SETTINGS, delta_jars

LOCAL_CONF = Path(__file__).resolve().parents[1] / "conf" / "spark" / "local.conf"


def test_settings_reach_spark(spark: SparkSession) -> None:
    assert spark.sparkContext.master == "local[2,4]"
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.shuffle.partitions") == "2"
    assert spark.sparkContext.uiWebUrl is None


LOGGING = """
from jeans_udf.session import build_session
spark = build_session("a-job", master="local[1]")
assert spark.sparkContext.getLocalProperty("spark.job.description") == "a-job"
spark.sparkContext.setLocalProperty("mdc.run_id", "run-42")
spark.sparkContext.parallelize([0], 1).map(lambda x: 1 // x).collect()
"""


def test_spark_is_told_the_job_and_a_tasks_lines_name_the_run() -> None:
    done = subprocess.run([sys.executable, "-c", LOGGING], capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    assert "ZeroDivisionError" in done.stderr and "AssertionError" not in done.stderr
    assert re.search(r"ERROR Executor: \[run run-42\] Exception in task 0.0", done.stderr)
    assert re.search(r"ERROR TaskSetManager: Task 0", done.stderr), "the driver's, without"


def test_delta_table_with_change_feed_round_trips(spark: SparkSession, tmp_path: Path) -> None:
    table = str(tmp_path / "garments")
    first = spark.createDataFrame([(1, "dark"), (2, "light")], "garment_no int, wash string")
    first.write.format("delta").option("delta.enableChangeDataFeed", "true").save(table)
    spark.sql(f"DELETE FROM delta.`{table}` WHERE garment_no = 2")

    changes = spark.read.format("delta").option("readChangeFeed", "true")
    rows = changes.option("startingVersion", 1).load(table).collect()

    assert [(row.garment_no, row._change_type) for row in rows] == [(2, "delete")]
    assert [row.wash for row in spark.read.format("delta").load(table).collect()] == ["dark"]


def test_python_workers_run_this_interpreter(spark: SparkSession) -> None:
    def executable(frames):  # type: ignore[no-untyped-def]
        for _ in frames:
            yield pd.DataFrame({"path": [sys.executable]})

    rows = spark.range(1).mapInPandas(executable, "path string").collect()

    assert rows[0].path == sys.executable


def test_only_local_jars_are_used(spark: SparkSession) -> None:
    conf = spark.sparkContext.getConf()
    assert "delta-spark" in conf.get("spark.jars", "")
    assert conf.get("spark.jars.packages") is None


@pytest.mark.parametrize(
    "key", ["spark.jars", "spark.jars.packages", "spark.driver.extraClassPath"]
)
def test_jars_the_user_names_are_left_alone(key: str) -> None:
    assert session_module._jar_settings({key: "x/delta-spark_4.2.jar"}, {}) == {}


def test_a_folder_without_delta_itself_counts_as_empty(tmp_path: Path) -> None:
    assert delta_jars(tmp_path / "absent") == []
    (tmp_path / "delta-storage-4.4.0.jar").touch()
    assert delta_jars(tmp_path) == []


def test_local_conf_says_the_same_as_the_session() -> None:
    lines = [line for line in LOCAL_CONF.read_text().splitlines() if not line.startswith("#")]
    conf = dict(re.split(r"\s+", line, maxsplit=1) for line in lines if line)
    for key, value in (DELTA_SETTINGS | COMMON_SETTINGS | LOCAL_SETTINGS).items():
        assert conf[key] == value, key
    assert conf["spark.driver.extraJavaOptions"].split()[1:] == list(LATE_C2)

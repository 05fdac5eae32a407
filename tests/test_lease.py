"""One run at a time: two at once, runs that died, sign of life of other machines."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jeans_udf import folders, tables
from jeans_udf.config import TaggingConfig
from jeans_udf.errors import BusyError
from jeans_udf.lease import Driver, Heartbeat, beat_file, holder
from jeans_udf.run_log import DIED, free_run_id, recorded
from jeans_udf.runs import Run
from jeans_udf.schemas import TAGGING_RUNS
from jeans_udf.table_names import Table, parse_table


@pytest.fixture
def log(spark: SparkSession, tmp_path: Path) -> Table:
    table = parse_table(str(tmp_path / "tagging_runs"))
    tables.ensure_table(spark, table, TAGGING_RUNS, "runs", hint="")
    return table


def a_run(name: str) -> Run:
    return Run("source", "m", "sha", TaggingConfig(), name)


def rows_of(spark: SparkSession, log: Table) -> dict[str, tuple[int, int | None, str | None]]:
    rows = tables.read_table(spark, log).collect()
    return {row.run_id: (row.run_no, row.exit_code, row.error) for row in rows}


def test_a_second_run_leaves_with_a_sentence_or_waits(spark: SparkSession, log: Table) -> None:
    work = str(Path(log.text).parent)
    with recorded(spark, log, work, a_run("first")):
        told = "run first is at work.*process .*nothing was done"
        with pytest.raises(BusyError, match=told), recorded(spark, log, work, a_run("second")):
            raise AssertionError("two at once")
        timer = threading.Timer(2.5, lambda: None)
    timer.start()
    with recorded(spark, log, work, a_run("third"), wait_seconds=30):
        assert set(rows_of(spark, log)) == {"first", "third"}
    timer.join()
    assert rows_of(spark, log) == {"first": (1, 0, None), "third": (2, 0, None)}
    assert folders.child_names(spark, f"{work}/_leases") == []


def test_of_many_that_start_at_once_one_is_at_work(spark: SparkSession, log: Table) -> None:
    work = str(Path(log.text).parent)
    inside: list[str] = []
    most = 0
    lock = threading.Lock()

    def attempt(name: str) -> None:
        nonlocal most
        with recorded(spark, log, work, a_run(name), wait_seconds=120):
            with lock:
                inside.append(name)
                most = max(most, len(inside))
            tables.read_table(spark, log).count()
            with lock:
                inside.remove(name)

    threads = [threading.Thread(target=attempt, args=(f"r{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert sorted(no for no, _, _ in rows_of(spark, log).values()) == [1, 2, 3, 4]


def test_a_dead_run_frees_the_output_at_once_and_is_told_of(
    spark: SparkSession, log: Table
) -> None:
    work = str(Path(log.text).parent)
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                           capture_output=True, text=True, check=True)  # fmt: skip
    dead = replace(Driver.here(), pid=int(child.stdout))
    begin(spark, log, work, "killed", dead)
    with recorded(spark, log, work, a_run("next")):
        pass
    assert rows_of(spark, log) == {"killed": (1, 1, DIED), "next": (2, 0, None)}


def test_another_machine_is_heard_for_a_minute(
    spark: SparkSession, log: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = str(Path(log.text).parent)
    elsewhere = Driver("far", "another boot", 1, "1")
    begin(spark, log, work, "there", elsewhere)
    assert holder(spark, work, "there") == elsewhere
    with pytest.raises(BusyError, match="process 1 on far"), recorded(
        spark, log, work, a_run("here")
    ):
        raise AssertionError("two at once")
    monkeypatch.setattr("jeans_udf.lease.SILENT_SECONDS", -1.0)
    assert holder(spark, work, "there") is None


def test_a_process_that_got_a_dead_ones_number_is_not_it(spark: SparkSession, log: Table) -> None:
    work = str(Path(log.text).parent)
    begin(spark, log, work, "old", replace(Driver.here(), start="1"))
    assert holder(spark, work, "old") is None
    begin(spark, log, work, "ours", Driver.here())
    assert holder(spark, work, "ours") == Driver.here()
    folders.write_text(spark, beat_file(work, "torn"), "{")
    assert holder(spark, work, "torn") is not None
    assert holder(spark, work, "never") is None


def test_a_scheduler_may_give_the_same_id_again(spark: SparkSession, log: Table) -> None:
    work = str(Path(log.text).parent)
    for _ in range(3):
        with recorded(spark, log, work, a_run("night/1")):
            pass
    assert sorted(rows_of(spark, log)) == ["night/1", "night/1.2", "night/1.3"]
    assert free_run_id(spark, log, "night/2") == "night/2"


def begin(spark: SparkSession, log: Table, work: str, run_id: str, driver: Driver) -> None:
    """The row and the sign of life of a run that does not end."""
    values = dict.fromkeys(TAGGING_RUNS.names)
    number = len(rows_of(spark, log)) + 1
    started = a_run(run_id).started_at
    values |= {"run_id": run_id, "run_no": number, "started_at": started}
    tables.append(spark.createDataFrame([tuple(values.values())], TAGGING_RUNS), log)
    folders.write_text(spark, beat_file(work, run_id), json.dumps(asdict(driver)))
    assert Heartbeat(spark, work, run_id).path == beat_file(work, run_id)

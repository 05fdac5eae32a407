"""The tagging job as spark-submit starts it, in client mode, and what its event log tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cluster.packing import Packed
from benchmarks.cluster.standalone import HOST, SPARK_HOME
from benchmarks.side_by_side.workload import REPOSITORY
from jeans_udf.errors import JeansError
from jeans_udf.session import delta_jars

LONGEST_RUN = 1800.0
SETTINGS = REPOSITORY / "conf" / "spark"


@dataclass
class Outcome:
    """How a run ended."""

    exit_code: int
    seconds: float
    happened: str = ""
    """What was done to it, and when."""
    events: Counter[str] = field(default_factory=Counter)
    """Of the event log: executors added and removed, tasks ended, failed, speculative."""


class Disturbance(threading.Thread):
    """Does something to a run while it goes on; a run that ends before is not waited for."""

    def __init__(self, disturb: Callable[[Path], str] | None, staging: Path) -> None:
        super().__init__(daemon=True)
        self.disturb, self.staging = disturb, staging
        self.happened = ""

    def run(self) -> None:
        if self.disturb is not None:
            self.happened = "the run ended before anything was done to it"
            try:
                self.happened = self.disturb(self.staging)
            except JeansError as error:
                self.happened = str(error)

    def told(self) -> str:
        """What was done, and when."""
        self.join(5)
        return self.happened


def submit(
    folder: Path,
    source: Path,
    master: str,
    settings: Mapping[str, str],
    disturb: Callable[[Path], str] | None = None,
    arguments: Sequence[str] = ("--set", "bundle=./bundle/"),
) -> Outcome:
    """Run the job into ``folder/tags``; ``disturb`` is called when its models are at work.

    It gets the folder of staged rows, which fills as tasks end, and tells what it did. Raises
    `JeansError` with the log's end when the run does not end.
    """
    events = folder / "events"
    events.mkdir(parents=True)
    settings = dict(settings) | {
        "spark.master": master, "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(), "spark.eventLog.compress": "false",
        "spark.local.dir": str(folder / "local"),
    }  # fmt: skip
    command = [str(SPARK_HOME / "bin" / "spark-submit")]
    name = "local" if master.startswith("local") else "standalone"
    command += ["--properties-file", str(SETTINGS / f"{name}.conf")]
    for key, value in settings.items():
        command += ["--conf", f"{key}={value}"]
    command += [str(REPOSITORY / "jobs" / "tag_catalog.py"), "--source", f"{source}/",
                "--output", f"{folder}/tags/", *arguments]  # fmt: skip
    begin = time.monotonic()
    disturbance = Disturbance(disturb, folder / "tags" / "_staging")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=_environment())
        disturbance.start()
        try:
            code = process.wait(LONGEST_RUN)
        except subprocess.TimeoutExpired:
            end = (folder / "log").read_text(errors="replace")[-3000:]
            raise JeansError(f"{folder}: no end after {LONGEST_RUN:.0f} s\n{end}") from None
        finally:
            process.kill()
    return Outcome(code, time.monotonic() - begin, disturbance.told(), read_events(events))


def cluster_settings(packed: Packed) -> dict[str, str]:
    """What stands above conf/spark/standalone.conf on two workers of one core each."""
    return {
        "spark.archives": f"{packed.environment}#environment,{packed.bundle}#bundle",
        "spark.pyspark.driver.python": sys.executable,
        "spark.jars": ",".join(map(str, delta_jars())),
        "spark.driver.host": HOST,
        "spark.driver.bindAddress": HOST,
        "spark.executor.cores": "1",
        "spark.executor.memory": "1g",
        "spark.default.parallelism": "2",
        "spark.dynamicAllocation.enabled": "false",
        "spark.sql.shuffle.partitions": "8",
        "spark.databricks.delta.snapshotPartitions": "2",
        # Seconds, not minutes, until a lost executor's tasks begin anew.
        "spark.network.timeout": "60s",
        "spark.executor.heartbeatInterval": "5s",
    }


def unpack_bundle(packed: Packed, folder: Path) -> None:
    """The driver has the bundle in its own folder, as executors have it in theirs."""
    with tarfile.open(packed.bundle) as archive:
        archive.extractall(folder / "bundle", filter="data")


def wait_for_tasks(staging: Path, count: int, seconds: float = 600.0) -> int:
    """Wait until ``count`` tasks of the pass have ended; how many have.

    Their files lie below ``_temporary`` until the stage is through.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done = {file.name for file in staging.rglob("part-*.parquet") if _is_committed(file)}
        if len(done) >= count:
            return len(done)
        time.sleep(0.2)
    raise JeansError(f"{staging}: {count} tasks did not end within {seconds:.0f} s")


def _is_committed(file: Path) -> bool:
    """Whether a task's file lies in its folder ``_temporary/0/task_…``, or where it ends up."""
    inside = any(part.startswith("task_") for part in file.parts)
    return inside or "_temporary" not in file.parts


def read_events(folder: Path) -> Counter[str]:
    """Counts of what the table shows, from Spark's event log."""
    found: Counter[str] = Counter()
    for file in folder.rglob("*"):
        if not file.is_file():
            continue
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            kind = event.get("Event", "")
            if kind == "SparkListenerExecutorAdded":
                found["executors"] += 1
            elif kind == "SparkListenerExecutorRemoved":
                found["executors lost"] += 1
            elif kind == "SparkListenerTaskEnd":
                reason = event["Task End Reason"]["Reason"]
                found["tasks"] += 1
                found["failed tasks"] += reason not in ("Success", "TaskKilled")
                found["killed copies"] += reason == "TaskKilled"
                found["speculative"] += bool(event["Task Info"].get("Speculative"))
    return found


def _environment() -> dict[str, str]:
    # The driver runs this checkout; what executors find is theirs alone.
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "SPARK_LOCAL_IP": HOST}

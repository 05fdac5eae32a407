"""One run at a time on an output: a sign of life that others can read, and a number in order.

A run takes the next number of tagging_runs, in a commit that Delta grants to one writer alone. The
others see a run without an end and look for its sign of life: a file that its driver writes anew
every few seconds, naming its machine and process. Where both are ours, a process that is gone
frees the output at once; elsewhere, silence does after a minute.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pyspark.sql import SparkSession

from jeans_udf import folders

BEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0


@dataclass(frozen=True)
class Driver:
    """A process on a machine, told apart from a later one of the same number."""

    host: str
    boot: str
    pid: int
    start: str

    @staticmethod
    def here() -> Driver:
        pid = os.getpid()
        return Driver(socket.gethostname(), _boot(), pid, _start_of(pid) or "")

    def is_on_this_machine(self) -> bool:
        return bool(self.boot) and self.boot == _boot()

    def is_alive(self) -> bool:
        """Only for one of this machine."""
        return _start_of(self.pid) == self.start

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Heartbeat:
    """Writes a run's sign of life until it ends."""

    def __init__(self, spark: SparkSession, work: str, run_id: str) -> None:
        self.spark, self.path = spark, beat_file(work, run_id)
        self.driver = Driver.here()
        self.text = json.dumps(asdict(self.driver))
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        folders.write_text(self.spark, self.path, self.text)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(BEAT_SECONDS)
        try:
            folders.delete(self.spark, self.path)
        except Exception as error:  # Spark may be gone; the process that ends frees the output
            print(f"{self.path}: cannot be removed: {error}", file=sys.stderr)

    def _beat(self) -> None:
        while not self.over.wait(BEAT_SECONDS):
            try:
                folders.write_text(self.spark, self.path, self.text)
            except Exception:  # one beat may fail; a minute of silence tells
                continue


def beat_file(work: str, run_id: str) -> str:
    # A run id is what a scheduler likes to call it.
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in run_id)
    return f"{work}/_leases/{name}"


def holder(spark: SparkSession, work: str, run_id: str) -> Driver | None:
    """The driver that is at work on the run; None when it is dead or gave it up."""
    path = beat_file(work, run_id)
    text = folders.read_text(spark, path)
    if text is None:
        return None
    try:
        driver = Driver(**json.loads(text))
    except (ValueError, TypeError):
        # Caught in the middle of being written: it is alive.
        driver = Driver("an unknown machine", "", 0, "")
    if driver.is_on_this_machine():
        return driver if driver.is_alive() else None
    return driver if _silence(spark, work, path) < SILENT_SECONDS else None


def _silence(spark: SparkSession, work: str, path: str) -> float:
    """Seconds since a file was written, by the file system's own clock."""
    probe = f"{work}/_leases/_clock"
    folders.write_text(spark, probe, "")
    try:
        return folders.changed_at(spark, probe) - folders.changed_at(spark, path)
    except FileNotFoundError:
        return SILENT_SECONDS


def _boot() -> str:
    """Another text after a restart, on another machine and in another container of this one, whose
    processes have numbers of their own; empty where there is none."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _start_of(pid: int) -> str | None:
    """When a process of this machine was started; None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The name, which may hold anything, ends with the last parenthesis.
    rest = fields.rpartition(")")[2].split()
    return None if rest[0] == "Z" else rest[19]


def wait_step(deadline: float) -> bool:
    """Sleep a moment; whether there is time left."""
    left = deadline - time.monotonic()
    if left <= 0:
        return False
    time.sleep(min(2.0, left))
    return True

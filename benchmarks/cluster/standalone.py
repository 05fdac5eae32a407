"""A standalone Spark cluster of several processes on this machine, on loopback alone.

pip's pyspark has no start scripts; its ``bin/spark-class`` starts master and workers all the same
(https://spark.apache.org/docs/latest/spark-standalone.html).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyspark

HOST = "127.0.0.1"
SPARK_HOME = Path(pyspark.__file__).parent
CLASSES = "org.apache.spark.deploy"
LONGEST_START = 60.0
"""Seconds until a process must be known to the master."""
SILENT_WORKER = 15
"""Seconds without a sign of life after which the master gives a worker up; Spark's own are 60."""


class StandaloneCluster:
    """In a ``with``: a master; workers are added, killed and slowed as one likes."""

    def __init__(self, folder: Path, worker_settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.worker_settings = dict(worker_settings or {})
        self.port, self.page = free_port(), free_port()
        self.url = f"spark://{HOST}:{self.port}"
        self.master: subprocess.Popen[bytes] | None = None
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.added = 0

    def __enter__(self) -> StandaloneCluster:
        self.folder.mkdir(parents=True, exist_ok=True)
        options = f"-Dspark.worker.timeout={SILENT_WORKER}"
        self.master = self._start(
            "master", f"{CLASSES}.master.Master", "--host", HOST, "--port", str(self.port),
            "--webui-port", str(self.page), SPARK_MASTER_OPTS=options,
        )  # fmt: skip
        try:
            self._wait("the master", lambda: bool(self.state()))
        except RuntimeError:
            _kill(self.master)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for name in list(self.workers):
            self.kill_worker(name)
        if self.master is not None:
            _kill(self.master)

    def add_worker(self, name: str, cores: int = 1, memory: str = "2g") -> None:
        """Start a worker and wait until the master knows it.

        Each has a loopback address of its own: Spark starts no second copy of a task on the host
        of the first.
        """
        before = set(self.alive())
        self.added += 1
        host = f"127.0.0.{self.added}"
        options = " ".join(f"-D{key}={value}" for key, value in self.worker_settings.items())
        self.workers[name] = self._start(
            name, f"{CLASSES}.worker.Worker", "--host", host, "--cores", str(cores), "--memory",
            memory, "--webui-port", "0", "--work-dir", str(self.work_folder(name)), self.url,
            SPARK_WORKER_OPTS=options, SPARK_LOCAL_IP=host,
            # Within the folder: executors that are killed leave gigabytes there.
            SPARK_LOCAL_DIRS=str(self.folder / f"local-{name}"),
        )  # fmt: skip
        self._wait(f"worker {name}", lambda: bool(set(self.alive()) - before))

    def kill_worker(self, name: str) -> None:
        """SIGKILL to a worker and all that it has started, its executors among them."""
        inside = self.inside(name)
        _kill(self.workers.pop(name))
        for pid in inside:
            send(pid, signal.SIGKILL)

    def kill_executor(self, name: str) -> int:
        """SIGKILL to the executors of a worker, which lives on; how many there were."""
        found = self.inside(name, "CoarseGrainedExecutorBackend")
        for pid in found:
            send(pid, signal.SIGKILL)
        return len(found)

    def inside(self, name: str, word: str = "") -> list[int]:
        """Process numbers of what a worker has started, with ``word`` in their command line."""
        return [pid for pid in processes(word)
                if _folder_of(pid).is_relative_to(self.work_folder(name))]  # fmt: skip

    def work_folder(self, name: str) -> Path:
        return self.folder / f"work-{name}"

    def state(self) -> dict[str, Any]:
        """What the master's page tells; empty while it is not up."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.page}/json/", timeout=5) as page:
                found: dict[str, Any] = json.load(page)
                return found
        except (OSError, ValueError):
            return {}

    def alive(self) -> list[str]:
        """Ids of the workers that the master counts on."""
        return [w["id"] for w in self.state().get("workers", []) if w["state"] == "ALIVE"]

    def _start(self, name: str, *command: str, **settings: str) -> subprocess.Popen[bytes]:
        # Executors inherit the worker's environment: nothing of this checkout may reach them.
        kept = {key: os.environ[key] for key in ("PATH", "JAVA_HOME", "HOME", "LANG")
                if key in os.environ}  # fmt: skip
        env = kept | {"SPARK_LOCAL_IP": HOST, "SPARK_HOME": str(SPARK_HOME)} | settings
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [str(SPARK_HOME / "bin" / "spark-class"), *command], env=env, stdout=log,
                stderr=log, cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    def _wait(self, what: str, is_up: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONGEST_START
        while not is_up():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} did not come up within {LONGEST_START:.0f} s; its log "
                                   f"is in {self.folder}")  # fmt: skip
            time.sleep(0.25)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def processes(word: str) -> list[int]:
    """Processes whose command line has the word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in command:
            found.append(int(folder.name))
    return found


def _folder_of(pid: int) -> Path:
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return Path("/nonexistent")


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def send(pid: int, number: signal.Signals) -> None:
    """A signal to a process, which may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass

"""What is done to the cluster while the job runs; it must leave the same tables all the same."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cluster.standalone import StandaloneCluster, send
from benchmarks.cluster.submit import wait_for_tasks
from jeans_udf.errors import JeansError

Disturb = Callable[[StandaloneCluster, Path], str]
"""Given the cluster and the folder of staged rows; tells what it did, and when."""


@dataclass(frozen=True)
class Fault:
    """A row of the table."""

    title: str
    disturb: Disturb | None = None
    workers: tuple[str, ...] = ("one", "two")
    """Those that are there from the start."""
    settings: dict[str, str] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)
    """Least counts of the event log (`submit.read_events`), without which the fault did nothing."""

    def missing(self, events: Mapping[str, int]) -> str | None:
        """What should have happened, and did not."""
        for name, least in self.wanted.items():
            if events.get(name, 0) < least:
                return f"{name}: {events.get(name, 0)}, wanted {least}"
        return None


def lose_worker(cluster: StandaloneCluster, staging: Path) -> str:
    done = wait_for_tasks(staging, 2)
    cluster.kill_worker("one")
    cluster.add_worker("three")
    return f"SIGKILL to worker and executor after {done} tasks, a new worker at once"


def lose_executor(cluster: StandaloneCluster, staging: Path) -> str:
    done = wait_for_tasks(staging, 2)
    count = cluster.kill_executor("two")
    if not count:
        raise JeansError("no executor was there to be killed")
    return f"SIGKILL to {count} executor, with its shuffle and cached plan, after {done} tasks"


def join_late(cluster: StandaloneCluster, staging: Path) -> str:
    done = wait_for_tasks(staging, 2)
    cluster.add_worker("two")
    return f"the second worker joined after {done} tasks"


def lose_models(cluster: StandaloneCluster, staging: Path) -> str:
    done = wait_for_tasks(staging, 2)
    found = _models(cluster)
    for pid in found:
        send(pid, signal.SIGKILL)
    return f"SIGKILL to {len(found)} process with the models after {done} tasks"


def _models(cluster: StandaloneCluster) -> list[int]:
    found = cluster.inside("one", "isolation.child")
    if not found:
        raise JeansError("no process with the models was there")
    return found


SLOW_SECONDS, STOPPED, RUNNING = 40.0, 0.9, 0.1


def slow_down(cluster: StandaloneCluster, staging: Path) -> str:
    """One worker's models get a tenth of their core for a while."""
    done = wait_for_tasks(staging, 2)
    found = _models(cluster)

    def brake() -> None:
        until = time.monotonic() + SLOW_SECONDS
        while time.monotonic() < until:
            for number, seconds in ((signal.SIGSTOP, STOPPED), (signal.SIGCONT, RUNNING)):
                for pid in found:
                    send(pid, number)
                time.sleep(seconds)
        for pid in found:
            send(pid, signal.SIGCONT)

    threading.Thread(target=brake, daemon=True).start()
    return f"one worker ten times slower for {SLOW_SECONDS:.0f} s after {done} tasks"


FAULTS = {
    "undisturbed": Fault("nothing"),
    "worker": Fault("a worker killed", lose_worker, wanted={"executors": 3, "executors lost": 1}),
    "executor": Fault("an executor killed", lose_executor,
                      wanted={"executors": 3, "executors lost": 1}),
    "models": Fault("the models' process killed", lose_models),
    "late": Fault("a worker joins late", join_late, workers=("one",), wanted={"executors": 2}),
    "slow": Fault("a slow worker, speculation on", slow_down, settings={
        "spark.speculation": "true", "spark.speculation.interval": "1s",
        "spark.speculation.multiplier": "2", "spark.speculation.quantile": "0.5",
    }, wanted={"speculative": 1}),
    "dynamic": Fault("dynamic allocation, 1 to 2 executors", settings={
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.minExecutors": "1",
        "spark.dynamicAllocation.initialExecutors": "1",
        "spark.dynamicAllocation.maxExecutors": "2",
        "spark.dynamicAllocation.executorIdleTimeout": "20s",
    }, wanted={"executors": 2}),
}  # fmt: skip

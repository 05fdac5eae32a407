"""Largest memory of the job's Python processes, watched while it runs (Linux)."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from types import TracebackType

WORDS = {"Python worker": "pyspark.daemon", "models": "isolation.child"}
"""Kinds of process, each with a word of its command line."""


class MemoryWatch(threading.Thread):
    """In a ``with``: the largest resident memory, in bytes, of one process of each kind."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peaks: Counter[str] = Counter()
        self.ended = threading.Event()

    def __enter__(self) -> MemoryWatch:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.ended.set()
        self.join()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    command = (process / "cmdline").read_bytes()
                    status = (process / "status").read_text()
                except OSError:
                    continue
                for name, word in WORDS.items():
                    if word.encode() in command and "VmHWM" in status:
                        peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
                        self.peaks[name] = max(self.peaks[name], peak)

    def told(self) -> str:
        """A line for each kind, and one for what a task takes: one process of each."""
        lines = [f"peak memory of a {name} process: {peak / 1e6:,.0f} MB"
                 for name, peak in self.peaks.items()]  # fmt: skip
        total = sum(self.peaks.values()) / 1e6
        return "\n".join([*lines, f"peak memory of a task, both together: {total:,.0f} MB"])

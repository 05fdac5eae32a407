"""Progress of a training: one line that is renewed on a terminal, a line a minute otherwise."""

from __future__ import annotations

import sys
import time


class Progress:
    """Counts steps and tells rate and time left."""

    def __init__(self, total: int, unit: str, per_step: int, done: int = 0) -> None:
        self.total, self.unit, self.per_step = total, unit, per_step
        self._start, self._first, self._told = time.monotonic(), done, 0.0
        self._interval = 1.0 if sys.stderr.isatty() else 60.0

    def update(self, done: int, text: str = "") -> None:
        """Tell that ``done`` steps of the total are done."""
        now = time.monotonic()
        if now - self._told < self._interval and done < self.total:
            return
        self._told = now
        rate = (done - self._first) / max(1e-9, now - self._start)
        left = (self.total - done) / rate if rate else 0.0
        line = (
            f"{done}/{self.total} steps, {rate * self.per_step:.1f} {self.unit}/s, "
            f"{left / 60:.0f} min left, {text}"
        )
        end = "\r" if self._interval == 1.0 else "\n"
        print(f"{line:<100}", end=end, file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """A line that stays."""
        print(f"{text:<100}", file=sys.stderr, flush=True)

"""Feeds a child process with images, and finds the one that kills it.

While all is well, images stream into the child and rows out of it. When it dies, hangs or takes
too much memory, every image without a row is a suspect. A new child then gets the suspects one at
a time, each with its own time limit. One that kills the child alone gets a second chance in a
fresh one, lest it answers for another's damage, and after that a row with the reason.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from pyspark import cloudpickle

from jeans_udf.config import Isolation
from jeans_udf.errors import JeansError, Rejected
from jeans_udf.isolation.child import OUT_OF_MEMORY, TagGroup
from jeans_udf.source_image import SourceImage

Row = dict[str, Any]

WINDOW_IMAGES = 32
WINDOW_BYTES = 64_000_000
"""Bounds of what has been sent and not taken yet; one image is always let through."""

LOOK_SECONDS = 0.25
"""Between two looks at a silent child's memory."""

CHANCES = 2


class ChildLost(Exception):
    """The child is gone; ``reason`` and ``detail`` are what its image's row would say."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.rejected = Rejected(reason, detail)


class Supervisor:
    """Rows of images, whatever the images do to the process that looks at them.

    ``open_tagger`` is called in the child and gives the function that tags a group; it is pickled
    by value where needed. ``lost_row`` makes the row of an image that cost a child. ``sound`` is
    an image that must not crash a sound installation: where it does, it is not the images' fault.
    """

    def __init__(
        self,
        open_tagger: Callable[[], TagGroup],
        limits: Isolation,
        lost_row: Callable[[SourceImage, Rejected], Row],
        sound: SourceImage,
    ) -> None:
        self.factory = cloudpickle.dumps(open_tagger)
        self.limits, self.lost_row, self.sound = limits, lost_row, sound
        self.child: Child | None = None
        self.proven = False
        self.restarts = 0

    def tag(self, images: Iterable[SourceImage]) -> Iterator[Row]:
        """One row an image, in any order. Raises `JeansError` when the models cannot run here."""
        source = iter(images)
        suspects: list[SourceImage] = []
        finished = False
        try:
            while not finished:
                try:
                    yield from self._stream(source, suspects)
                    finished = True
                except ChildLost:
                    self._drop()
                    yield from map(self._alone, suspects)
                    suspects.clear()
        finally:
            if not finished:
                # Whoever stopped listening left the child in the middle of a group.
                self._drop()

    def close(self) -> None:
        """End the child."""
        self._drop()

    def _stream(self, source: Iterator[SourceImage], underway: list[SourceImage]) -> Iterator[Row]:
        """Rows of ``source``; ``underway`` holds the images sent and not answered."""
        child = self._alive()
        ended = False
        while True:
            while not ended and child.has_room():
                image = next(source, None)
                if image is None:
                    child.end()
                    ended = True
                else:
                    underway.append(image)
                    child.give(image)
            message = child.listen(self.limits.max_seconds_per_image)
            if message[0] == "row":
                _strike(underway, message[1])
                yield message[1]
                child.noticed()
            elif message[0] == "done":
                return

    def _alone(self, image: SourceImage) -> Row:
        """The row of one image that may be what killed the child."""
        for _ in range(CHANCES):
            try:
                return self._row_of(image)
            except ChildLost as lost:
                self._drop()
                why = lost.rejected
        self._prove()
        return self.lost_row(image, why)

    def _row_of(self, image: SourceImage) -> Row:
        child = self._alive()
        child.give(image)
        child.end()
        row = None
        while True:
            message = child.listen(self.limits.max_seconds_per_image)
            if message[0] == "row":
                row = message[1]
            elif message[0] == "done":
                assert row is not None, "one row an image"
                return row

    def _prove(self) -> None:
        """Once a worker: before an image is blamed, a sound one has to pass."""
        if self.proven:
            return
        try:
            self._row_of(self.sound)
        except ChildLost as lost:
            self._drop()
            raise JeansError(
                f"the models crash on a sound image, too ({lost.rejected.detail}): this machine "
                "or its installation cannot run them, no image is to blame; see the worker's log"
            ) from None
        self.proven = True

    def _alive(self) -> Child:
        if self.child is None:
            self.child = Child(self.factory, self.limits)
            self.restarts += 1
        return self.child

    def _drop(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child = None


class Child:
    """A running child process, from its opening on."""

    def __init__(self, factory: bytes, limits: Isolation) -> None:
        self.limits = limits
        self.waiting: deque[int] = deque()
        ours, theirs = Pipe()
        self.connection: Connection = ours
        command = [sys.executable, "-m", "jeans_udf.isolation.child"]
        self.process = subprocess.Popen(
            [*command, str(theirs.fileno()), str(os.getpid())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            # Spark reads its workers' standard output; a library's chatter belongs in the log.
            stdout=sys.__stderr__.fileno() if sys.__stderr__ is not None else subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        theirs.close()
        self.heard = self.looked = time.monotonic()
        try:
            self._send(("open", factory))
            self.listen(limits.max_seconds_to_load)
        except ChildLost as lost:
            self.kill()
            raise JeansError(
                f"the models cannot be opened in this worker: {lost}; see its log"
            ) from None

    def has_room(self) -> bool:
        """Whether another image may be sent."""
        if not self.waiting:
            return True
        return len(self.waiting) < WINDOW_IMAGES and sum(self.waiting) < WINDOW_BYTES

    def give(self, image: SourceImage) -> None:
        self.waiting.append(len(image.data or b""))
        self._send(("image", image))

    def end(self) -> None:
        self._send(("end",))

    def noticed(self) -> None:
        """Time that passed elsewhere, since the last row was handed on, is not the child's."""
        self.heard = time.monotonic()

    def listen(self, seconds: float) -> tuple[Any, ...]:
        """The next message. Raises `ChildLost`; `JeansError` when the pass itself is at fault."""
        message = self._next(seconds)
        if message[0] == "failed":
            self.kill()
            raise JeansError(f"the pass over the pixels failed:\n{message[1]}")
        if message[0] == "taken":
            self.waiting.popleft()
        return message

    def _next(self, seconds: float) -> tuple[Any, ...]:
        try:
            while not self.connection.poll(LOOK_SECONDS):
                self._check_memory()
                if time.monotonic() - self.heard > seconds:
                    raise ChildLost("timed_out", f"gave no sign of life for {seconds:g} s")
            if time.monotonic() - self.looked > LOOK_SECONDS:
                self._check_memory()
            message: tuple[Any, ...] = self.connection.recv()
        except (EOFError, OSError):
            raise ChildLost("worker_crashed", self._death()) from None
        self.heard = time.monotonic()
        return message

    def _check_memory(self) -> None:
        self.looked = time.monotonic()
        used = resident_bytes(self.process.pid)
        if used > self.limits.max_memory_bytes:
            raise ChildLost(
                "worker_crashed",
                f"took {used / 1e6:,.0f} MB of memory, above isolation.max_memory_bytes",
            )

    def _death(self) -> str:
        try:
            status = self.process.wait(10)
        except subprocess.TimeoutExpired:
            return "the process closed its pipe"
        if status == OUT_OF_MEMORY:
            return "the process ran out of memory"
        if status < 0:
            return f"the process died of {signal.Signals(-status).name}"
        return f"the process ended with status {status}"

    def _send(self, message: tuple[Any, ...]) -> None:
        self.heard = time.monotonic()
        try:
            self.connection.send(message)
        except OSError:
            raise ChildLost("worker_crashed", self._death()) from None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


def resident_bytes(pid: int) -> int:
    """Memory of a process, in bytes; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _strike(underway: list[SourceImage], row: Row) -> None:
    for index, image in enumerate(underway):
        if image.image_id == row["image_id"]:
            del underway[index]
            return
    raise AssertionError(f"a row of an image that was not sent: {row['image_id']!r}")

"""A stub in place of the models: the bytes say what becomes of the process. Says so in its name.

``b"ok"`` is answered; ``b"segfault"``, ``b"abort"``, ``b"hang"``, ``b"eat"`` (memory), ``b"exit"``
and ``b"raise"`` are what they say; ``b"odd"`` crashes once only, by a file that it leaves.
``b"leak"`` keeps some memory for good.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jeans_udf.source_image import SourceImage

LOOKAHEAD = 4
"""Rows come this many images late, as from models that work in batches."""

_KEPT: list[bytearray] = []


def open_stub_group(folder: str) -> Any:
    """The stub; each process and each image looked at leave a line in ``folder``."""
    _note(folder, "opened")

    def tag(images: Iterable[SourceImage]) -> Iterator[dict[str, Any]]:
        behind: deque[dict[str, Any]] = deque()
        for image in images:
            _note(folder, image.image_id)
            _suffer(image.data or b"", folder)
            behind.append({"image_id": image.image_id, "status": "ok", "pid": os.getpid()})
            if len(behind) > LOOKAHEAD:
                yield behind.popleft()
        yield from behind

    return tag


def open_broken_group(folder: str) -> Any:
    """Models that crash on whatever they see."""

    def tag(images: Iterable[SourceImage]) -> Iterator[dict[str, Any]]:
        for _ in images:
            os.kill(os.getpid(), signal.SIGSEGV)
            yield {}

    return tag


def open_nothing(folder: str) -> Any:
    """Models that cannot be opened."""
    os._exit(3)


def _suffer(data: bytes, folder: str) -> None:
    if data == b"segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif data == b"abort":
        os.abort()
    elif data == b"exit":
        os._exit(9)
    elif data == b"hang":
        time.sleep(600)
    elif data == b"eat":
        _KEPT.append(bytearray(os.urandom(1) * 900_000_000))
        time.sleep(5)
    elif data == b"leak":
        _KEPT.append(bytearray(os.urandom(1) * 90_000_000))
    elif data == b"raise":
        raise ValueError("a mistake in the pass itself")
    elif data == b"memory error":
        raise MemoryError
    elif data == b"odd" and not Path(folder, "odd").exists():
        Path(folder, "odd").touch()
        os.kill(os.getpid(), signal.SIGSEGV)


def _note(folder: str, text: str) -> None:
    with open(os.path.join(folder, "log"), "a", encoding="utf-8") as file:
        file.write(text + "\n")

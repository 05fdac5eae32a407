"""The child process: opens the models once, tags what it is sent, and dies with its parent.

Messages to the child, as tuples: ``("open", factory)`` once, cloudpickled; ``("image", image)``;
``("end",)`` of a group. From the child: ``("ready",)``; ``("taken",)`` for an image that left
the queue; ``("row", row)``; ``("done",)`` of a group; ``("failed", text)`` for an error that is no
image's fault.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from pyspark import cloudpickle

from jeans_udf.source_image import SourceImage

TagGroup = Callable[[Iterable[SourceImage]], Iterator[dict[str, Any]]]
"""Images to rows, one an image, in any order."""

Inbox = queue.SimpleQueue[SourceImage | None]
"""What the supervisor sent; None ends a group."""

OUT_OF_MEMORY = 77
"""Exit status of a child that ran out of memory in Python code."""

_PR_SET_PDEATHSIG = 1


def limit_memory(bytes_: int) -> None:
    """Let the system refuse this process memory beyond ``bytes_``, where it can.

    For what allocates faster than the supervisor looks. Not for a process that drives a GPU,
    whose driver maps far more than it uses.
    """
    if sys.platform.startswith("linux"):
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = bytes_ if most == resource.RLIM_INFINITY else min(bytes_, most)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))


def serve(connection: Connection, parent: int) -> None:
    """Answer the supervisor until it hangs up."""
    _die_with(parent)
    sender = threading.Lock()

    def send(*message: Any) -> None:
        with sender:
            connection.send(message)

    try:
        _, factory = connection.recv()
        tag: TagGroup = cloudpickle.loads(factory)()
        send("ready")
        inbox: Inbox = queue.SimpleQueue()
        threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
        while True:
            first = inbox.get()
            if first is None:
                # A group without images.
                send("done")
                continue
            for row in tag(_images(first, inbox, send)):
                send("row", row)
            send("done")
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)
    except Exception:
        send("failed", traceback.format_exc())


def _images(
    image: SourceImage | None, inbox: Inbox, send: Callable[..., None]
) -> Iterator[SourceImage]:
    while image is not None:
        send("taken")
        yield image
        image = inbox.get()


def _receive(connection: Connection, inbox: Inbox) -> None:
    # Always draining: the supervisor bounds what is on its way, and must never block on sending
    # while this side blocks on sending rows.
    try:
        while True:
            message = connection.recv()
            inbox.put(message[1] if message[0] == "image" else None)
    except (EOFError, OSError):
        os._exit(0)


def _die_with(parent: int) -> None:
    """Spark kills a worker outright: what it was waiting for must not live on with the models."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def main() -> None:
    """``python -m jeans_udf.isolation.child FD PARENT_PID``"""
    faulthandler.enable()
    serve(Connection(int(sys.argv[1])), int(sys.argv[2]))


if __name__ == "__main__":
    main()

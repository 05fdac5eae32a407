"""Decoding ahead of the device: threads, and a bound in bytes on what waits."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.images import decode_picture, sha256_hex
from jeans_udf.models.detector import Canvas
from jeans_udf.paths import read_image_file
from jeans_udf.source_image import Known, SourceImage


@dataclass(frozen=True)
class Decoded:
    """An image on its way: ``pixels (h, w, 3) uint8`` RGB and its canvas, or why there are none.

    ``pixels`` may show the upright image reduced; its size is ``canvas.original``.
    """

    source: SourceImage
    sha256: str | None
    pixels: np.ndarray | None
    canvas: Canvas | None
    rejected: Rejected | None
    seconds: float

    def recall(self) -> tuple[Known, ...] | None:
        """What is known of these very pixels."""
        return self.source.known if self.source.known_sha256 == self.sha256 else None

    @property
    def waiting_bytes(self) -> int:
        """Memory that it holds while it waits."""
        return 0 if self.pixels is None else self.pixels.nbytes


class DecodeAhead:
    """Iterates over decoded images in the source's order while threads decode the next ones.

    At most ``ahead_bytes`` wait, and beyond them one image for each thread. ``longest`` is
    `images.decode_picture`'s.
    """

    def __init__(
        self,
        prepare: Callable[[np.ndarray, tuple[int, int]], Canvas],
        limits: ImageLimits,
        *,
        threads: int,
        ahead_bytes: int,
        longest: int = 0,
    ) -> None:
        self.prepare, self.limits = prepare, limits
        self.threads, self.ahead_bytes, self.longest = threads, ahead_bytes, longest

    def __call__(self, images: Iterable[SourceImage]) -> Iterator[Decoded]:
        source = iter(images)
        queue: deque[Future[Decoded]] = deque()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="decode") as pool:
            try:
                while True:
                    while len(queue) < self.threads or self._room(queue):
                        image = next(source, None)
                        if image is None:
                            break
                        queue.append(pool.submit(self._decode, image))
                    if not queue:
                        return
                    yield queue.popleft().result()
            finally:
                # A consumer that stops early must not wait for what nobody will read.
                pool.shutdown(wait=False, cancel_futures=True)

    def _room(self, queue: deque[Future[Decoded]]) -> bool:
        done = [future for future in queue if future.done()]
        return (
            len(queue) - len(done) < self.threads
            and sum(future.result().waiting_bytes for future in done) < self.ahead_bytes
        )

    def _decode(self, source: SourceImage) -> Decoded:
        start = time.perf_counter()
        sha256, pixels, canvas, rejected = None, None, None, None
        try:
            data = source.data
            if data is None and source.path is not None:
                data = read_image_file(source.path, self.limits)
            if data is not None:
                sha256 = sha256_hex(data)
            picture = decode_picture(data, self.limits, self.longest)
            pixels = picture.pixels
            canvas = self.prepare(pixels, (picture.height, picture.width))
        except Rejected as error:
            # A traceback would keep the file's bytes for as long as the reason.
            rejected = error.with_traceback(None)
            rejected.__cause__ = rejected.__context__ = None
        except Exception as error:  # an unforeseen fault of a decoder is still a row
            rejected = Rejected("decode_error", f"{type(error).__name__} while decoding")
        return Decoded(source, sha256, pixels if rejected is None else None, canvas, rejected,
                       time.perf_counter() - start)

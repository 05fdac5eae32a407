from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from jeans_udf.ahead import DecodeAhead
from jeans_udf.config import ImageLimits
from jeans_udf.models.detector import Canvas, prepare_canvas
from jeans_udf.png import encode_png_rgba
from jeans_udf.source_image import SourceImage


def _png(side: int = 64) -> bytes:
    return encode_png_rgba(np.full((side, side, 4), 200, dtype=np.uint8))


def _source(count: int, data: bytes | None = None) -> list[SourceImage]:
    data = _png() if data is None else data
    return [SourceImage(f"i{n}", "p", data, None) for n in range(count)]


def _prepare(pixels: np.ndarray, original: tuple[int, int]) -> Canvas:
    return prepare_canvas(pixels, 32, original)


def test_images_come_in_the_sources_order() -> None:
    def slow_then_fast(pixels: np.ndarray, original: tuple[int, int]) -> Canvas:
        time.sleep(0.02 if pixels.shape[0] > 64 else 0)
        return _prepare(pixels, original)

    sources = [SourceImage(f"i{n}", None, _png(96 if n % 2 else 64), None) for n in range(8)]
    ahead = DecodeAhead(slow_then_fast, ImageLimits(), threads=3, ahead_bytes=10**6)
    assert [d.source.image_id for d in ahead(sources)] == [f"i{n}" for n in range(8)]


def test_what_waits_is_bounded_in_bytes() -> None:
    taken = []

    def source():
        for image in _source(60):
            taken.append(image.image_id)
            yield image

    one = 64 * 64 * 3
    ahead = DecodeAhead(_prepare, ImageLimits(), threads=2, ahead_bytes=4 * one)
    decoded = ahead(source())
    next(decoded)
    time.sleep(0.3)
    next(decoded)
    # Two given out, four waiting, and one more for each thread.
    assert len(taken) <= 2 + 4 + 2 + 2
    assert len(list(decoded)) == 58


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (SourceImage("a", None, None, None), "null_image"),
        (SourceImage("a", None, b"", None), "empty"),
        (SourceImage("a", None, b"hello", None), "not_an_image"),
        (SourceImage("a", None, _png()[:100], None), "truncated"),
        (SourceImage("a", None, None, "/etc/passwd"), "forbidden_path"),
    ],
)
def test_a_bad_image_is_a_reason_and_never_an_exception(source: SourceImage, reason: str) -> None:
    (decoded,) = DecodeAhead(_prepare, ImageLimits(), threads=1, ahead_bytes=1)([source])
    assert decoded.rejected is not None and decoded.rejected.reason == reason
    assert decoded.pixels is None and decoded.canvas is None


def test_an_unforeseen_fault_is_a_row_too() -> None:
    def broken(pixels: np.ndarray, original: tuple[int, int]) -> Canvas:
        raise OverflowError("surprise")

    (decoded,) = DecodeAhead(broken, ImageLimits(), threads=1, ahead_bytes=1)(_source(1))
    assert decoded.rejected is not None and decoded.rejected.reason == "decode_error"
    assert decoded.sha256 is not None


def test_a_path_below_a_root_is_read(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(_png())
    source = SourceImage("a", None, None, str(tmp_path / "a.png"))
    ahead = DecodeAhead(_prepare, ImageLimits(roots=(str(tmp_path),)), threads=1, ahead_bytes=1)
    (decoded,) = ahead([source])
    assert decoded.rejected is None and decoded.canvas is not None
    assert decoded.canvas.original == (64, 64)


def test_threads_end_when_the_consumer_stops_early() -> None:
    before = threading.active_count()
    decoded = DecodeAhead(_prepare, ImageLimits(), threads=2, ahead_bytes=10**9)(_source(50))
    next(decoded)
    decoded.close()
    for _ in range(50):
        if threading.active_count() <= before:
            break
        time.sleep(0.05)
    assert threading.active_count() <= before

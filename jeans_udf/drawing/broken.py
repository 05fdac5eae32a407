"""Files of a catalog that are no usable picture, each with the reason a reader should give."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image


def _encoded(image: np.ndarray, name: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, name)
    return buffer.getvalue()


def _empty(image: np.ndarray) -> bytes:
    return b""


def _truncated_jpeg(image: np.ndarray) -> bytes:
    data = _encoded(image, "JPEG")
    return data[: len(data) // 3]


def _truncated_png(image: np.ndarray) -> bytes:
    data = _encoded(image, "PNG")
    return data[: len(data) // 2]


def _html(image: np.ndarray) -> bytes:
    return b"<!doctype html>\n<html><head><title>404 Not Found</title></head><body></body></html>\n"


def _text(image: np.ndarray) -> bytes:
    return b"image missing, ask the supplier\n"


def _gif(image: np.ndarray) -> bytes:
    return _encoded(image[::2, ::2], "GIF")


def _bomb(image: np.ndarray) -> bytes:
    """A PNG of a few bytes that declares 50000 x 50000 pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + body))
        return struct.pack(">I", len(body)) + name + body + check

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 150_001)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b"")]
    )


def _tiny(image: np.ndarray) -> bytes:
    return _encoded(image[:8, :8], "PNG")


def _damaged(image: np.ndarray) -> bytes:
    data = bytearray(_encoded(image, "PNG"))
    middle = len(data) // 2
    data[middle : middle + 64] = b"\xff" * 64
    return bytes(data)


def _wrong_magic(image: np.ndarray) -> bytes:
    return b"\0\0\0\0" + _encoded(image, "JPEG")[4:]


BROKEN: dict[str, tuple[str, Callable[[np.ndarray], bytes]]] = {
    "empty.jpg": ("empty", _empty),
    "truncated.jpg": ("truncated", _truncated_jpeg),
    "truncated.png": ("truncated", _truncated_png),
    "error_page.jpg": ("not_an_image", _html),
    "note.png": ("not_an_image", _text),
    "animation.gif": ("unsupported_format", _gif),
    "bomb.png": ("too_many_pixels", _bomb),
    "thumbnail.png": ("too_small", _tiny),
    "damaged.png": ("decode_error", _damaged),
    "wrong_magic.jpg": ("not_an_image", _wrong_magic),
}
"""File name to the reason (one of `jeans_udf.errors.REASONS`) and a maker: picture -> bytes."""

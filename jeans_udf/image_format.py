"""What an encoded picture's bytes say of themselves, read without any decoder.

Readers of rare formats are where crafted files do harm, so a format is recognised by its first
bytes alone; only the accepted ones ever reach a decoder.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_SCANS = 100
"""Each scan of a progressive JPEG passes over all its pixels and costs the sender a few bytes, so
a small file can hold a decoder for hours. Encoders write about ten."""
MAX_SEGMENTS = 20_000
"""Pillow keeps each segment or chunk as Python objects: the 50 MB of an accepted file, all of it
empty segments, would cost gigabytes and minutes. PNG encoders cut the pixels every 8 kB or more."""

_MAGIC = {
    0: {
        b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF",
        b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF",
        b"II\xbc\x01": "JPEG XR", b"8BPS": "PSD", b"\xff\x4f\xff\x51": "JPEG2000",
        b"\xff\x0a": "JPEG XL", b"\0\0\1\0": "ICO", b"icns": "ICNS",
        b"%PDF-": "PDF", b"%!PS": "EPS", b"\xc5\xd0\xd3\xc6": "EPS", b"qoif": "QOI",
        b"DDS ": "DDS", b"\x59\xa6\x6a\x95": "SUN", b"\x01\xda": "SGI", b"v/1\x01": "OpenEXR",
        b"\xd7\xcd\xc6\x9a": "WMF",
    },
    4: {
        b"ftypavi": "AVIF", b"ftyphe": "HEIC", b"ftypmif1": "HEIC", b"ftypmsf1": "HEIC",
        b"ftyp": "MP4 or QuickTime", b"jP  \r\n\x87\n": "JPEG2000", b"JXL \r\n\x87\n": "JPEG XL",
    },
    8: {b"WEBP": "WEBP"},
}  # fmt: skip
"""Offset -> first bytes -> Pillow's name of the format, or the common one if Pillow has none."""
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_SVG = re.compile(rb"<svg[\s>]", re.IGNORECASE)
_HTML = re.compile(rb"<(!doctype\s+html|html|head|body|script|title)\b", re.IGNORECASE)
_PNM = re.compile(rb"P[1-7]\s")
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""Not a stuffed zero, a fill byte or a restart: those are part of the entropy-coded data."""
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, which states the size."""


@dataclass(frozen=True)
class Structure:
    """How a file is put together, as far as it can be followed.

    ``size`` is the declared (width, height), None where there is none; ``end`` is where the end
    mark starts, None if the file has lost its end.
    """

    size: tuple[int, int] | None
    segments: int
    scans: int
    end: int | None

    @property
    def is_bomb(self) -> bool:
        return self.segments > MAX_SEGMENTS or self.scans > MAX_SCANS


def image_format(data: bytes) -> str | None:
    """The name of the format that the first bytes announce; None: no known picture."""
    for offset, names in _MAGIC.items():
        for magic, name in names.items():
            if data.startswith(magic, offset):
                return name
    # Two letters alone would make a picture of any text that starts with them.
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if _PNM.match(data):
        return "PPM"
    head = _text_head(data)
    return "SVG" if head.startswith(b"<") and _SVG.search(head) and not is_html(data) else None


def is_html(data: bytes) -> bool:
    """Whether it looks like a web page, as a shop's error page saved under a picture's name."""
    head = _text_head(data)
    return head.startswith(b"<") and _HTML.search(head) is not None


def structure(kind: str, data: bytes) -> Structure:
    """Walk the segments of a JPEG, PNG or WEBP; of any other format nothing is known."""
    walk = {"JPEG": _walk_jpeg, "PNG": _walk_png, "WEBP": _read_webp}.get(kind)
    return walk(data) if walk is not None else Structure(None, 0, 0, len(data))


def _walk_jpeg(data: bytes) -> Structure:
    """Only the first picture of the file: a phone appends others, and films."""
    size, segments, scans, end = None, 0, 0, None
    at = 2
    while end is None and segments <= MAX_SEGMENTS and scans <= MAX_SCANS:
        match = _JPEG_MARKER.search(data, at)
        if match is None:
            break
        marker, at = data[match.start() + 1], match.end()
        end = match.start() if marker == 0xD9 else None
        segments += 1
        scans += marker == 0xDA
        if marker in _JPEG_FRAMES:
            size = size or _size(data[at + 5 : at + 7], data[at + 3 : at + 5])
        if marker not in (0x01, 0xD8):
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    if end is None and data.endswith(b"\xff\xd9"):
        end = len(data) - 2  # a broken length led the walk astray, but nothing is missing
    return Structure(size, segments, scans, end)


def _walk_png(data: bytes) -> Structure:
    segments, end = 0, None
    at = 8
    while end is None and segments <= MAX_SEGMENTS and at + 8 <= len(data):
        end = at if data[at + 4 : at + 8] == b"IEND" else None
        segments += 1
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    if end is None and b"\0\0\0\0IEND" in data:
        end = data.rindex(b"\0\0\0\0IEND")
    size = _size(data[16:20], data[20:24]) if data[12:16] == b"IHDR" else None
    return Structure(size, segments, 0, end)


def _read_webp(data: bytes) -> Structure:
    chunk, body = data[12:16], data[20:30]
    size = None
    if chunk == b"VP8X":
        size = int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    elif chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        size = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8 ":
        # The two highest bits ask for a scale, not for pixels.
        sides = (int.from_bytes(side, "little") & 0x3FFF for side in (body[6:8], body[8:10]))
        size = next(sides), next(sides)
    end = int.from_bytes(data[4:8], "little") + 8
    return Structure(size if len(body) == 10 else None, 0, 0, end if end <= len(data) else None)


def _size(width: bytes, height: bytes) -> tuple[int, int] | None:
    """None for a header that is cut or states no pixels: the decoder says what is wrong with it."""
    if len(width) != len(height):
        return None
    sides = int.from_bytes(width, "big"), int.from_bytes(height, "big")
    return sides if min(sides) > 0 else None


def _text_head(data: bytes) -> bytes:
    return data[:2048].lstrip(b"\xef\xbb\xbf \t\r\n")

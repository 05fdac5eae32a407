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
        b"\xff\x0a": "JPEG XL", b"\0\0\1\0": "ICO", b"\0\0\2\0": "CUR", b"icns": "ICNS",
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


@dataclass(frozen=True)
class Structure:
    """How a file is put together; ``ended`` is False if its end is missing."""

    segments: int
    scans: int
    ended: bool

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
    """Walk the segments of a JPEG, PNG or WEBP; any other format counts as ended."""
    if kind == "JPEG":
        return _walk_jpeg(data)
    if kind == "PNG":
        return _walk_png(data)
    whole = kind != "WEBP" or int.from_bytes(data[4:8], "little") + 8 <= len(data)
    return Structure(0, 0, whole)


def webp_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a WebP's canvas; None where its header is broken."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if chunk == b"VP8X":
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = int.from_bytes(body[6:8], "little"), int.from_bytes(body[8:10], "little")
        return width & 0x3FFF, height & 0x3FFF
    return None


def _walk_jpeg(data: bytes) -> Structure:
    """Only the first picture of the file: a phone appends others, and films."""
    segments = scans = 0
    at = 2
    while segments <= MAX_SEGMENTS and scans <= MAX_SCANS:
        match = _JPEG_MARKER.search(data, at)
        if match is None:
            break
        marker, at = data[match.start() + 1], match.end()
        if marker == 0xD9:
            return Structure(segments, scans, True)
        segments += 1
        scans += marker == 0xDA
        if marker not in (0x01, 0xD8):
            at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return Structure(segments, scans, False)


def _walk_png(data: bytes) -> Structure:
    segments = 0
    at = 8
    while at + 8 <= len(data) and segments <= MAX_SEGMENTS:
        if data[at + 4 : at + 8] == b"IEND":
            return Structure(segments, 0, True)
        segments += 1
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return Structure(segments, 0, False)


def _text_head(data: bytes) -> bytes:
    return data[:2048].lstrip(b"\xef\xbb\xbf \t\r\n")

"""Crops as PNG files, several times faster than by Pillow, and no larger.

Every line is stored as its difference to the line above (PNG's filter type 2, Up) and compressed
by ISA-L's deflate. On 150 crops of 0.12 megapixels that took 0.9 ms a crop for 130 kB, where
Pillow at its level 1 took 6.8 ms for 134 kB. Format: RFC 2083.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from isal import isal_zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
_RGBA = 6
_LEVEL = 2
"""Of ISA-L's 0 to 3: 3 is its slow one."""


def encode_png_rgba(crop: np.ndarray) -> bytes:
    """``crop (H, W, 4) uint8`` RGBA as PNG without any metadata; neither side may be 0."""
    height, width = crop.shape[:2]
    if crop.dtype != np.uint8 or crop.shape[2:] != (4,) or not height or not width:
        raise ValueError(f"PNG: got {crop.dtype} {crop.shape}, wanted uint8 (H, W, 4), not empty")
    header = struct.pack(">IIBBBBB", width, height, 8, _RGBA, 0, 0, 0)
    data = isal_zlib.compress(_filtered(crop.reshape(height, width * 4)), _LEVEL)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    return b"".join((SIGNATURE, *chunks))


def _filtered(lines: np.ndarray) -> np.ndarray:
    """``lines (H, bytes) uint8`` to (H, 1 + bytes): the filter's type, then the differences."""
    filtered = np.empty((lines.shape[0], lines.shape[1] + 1), dtype=np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    return filtered


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

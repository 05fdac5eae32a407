"""Seeded builders of picture files that break readers, each with the reason it must get.

`hostile_images` is the catalogue; the small builders serve tests that need one kind of file.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.images import decode_image

FORMATS = ("JPEG", "PNG", "WEBP")
ORIENTATION = 0x0112
DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True)
class Hostile:
    """A file, and its reason of rejection; None: it must decode."""

    name: str
    data: bytes
    reason: str | None


def outcome(data: bytes | None, limits: ImageLimits = DEFAULT_LIMITS) -> str | None:
    """The reason of rejection; None if it decoded to what `decode_image` promises."""
    try:
        pixels = decode_image(data, limits)
    except Rejected as rejected:
        return rejected.reason
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3
    assert pixels.flags.c_contiguous and pixels.flags.writeable
    return None


def picture(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """(height, width, 3) uint8: smooth colours with an off-centre block, so no turn maps it on
    itself."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    shades = [(x * a + y * b) % 200 for a, b in rng.integers(1, 4, (3, 2))]
    pixels = np.stack(shades, axis=2).astype(np.uint8)
    pixels[: height // 3, : width // 4] = (250, 20, 20)
    return pixels


def encoded(pixels: np.ndarray | Image.Image, kind: str, **options: Any) -> bytes:
    """``pixels`` as a file of ``kind``; WEBP lossless unless ``options`` say otherwise."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    if kind == "WEBP":
        options = {"lossless": True, **options}
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def with_orientation(kind: str, orientation: int, **options: Any) -> bytes:
    """`picture` stored so that it is upright once ``orientation`` is applied."""
    # What has to be done to an upright picture so that the viewer's turn undoes it.
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = Image.fromarray(picture())
    if orientation in turns:
        image = image.transpose(turns[orientation])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(image, kind, exif=exif.tobytes(), **options)


def png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_declaring(width: int, height: int) -> bytes:
    """A PNG of about 70 bytes whose header promises ``width x height`` pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(16)))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + pixels + png_chunk(b"IEND", b"")


def jpeg_declaring(width: int, height: int) -> bytes:
    """A small JPEG whose frame header promises ``width x height`` pixels."""
    data = encoded(picture(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def webp_declaring(width: int, height: int) -> bytes:
    """A small lossless WEBP whose header promises ``width x height`` pixels (at most 16384)."""
    data = encoded(picture(), "WEBP")
    at = data.index(b"VP8L") + 9
    bits = (width - 1) | (height - 1) << 14
    return data[:at] + struct.pack("<I", bits) + data[at + 4 :]


def png_text_bomb(after_pixels: bool = False) -> bytes:
    """A PNG of some kB whose comment unpacks to 8 MB."""
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "A" * 8_000_000, zip=True)
    data = encoded(picture(), "PNG", pnginfo=info)
    if not after_pixels:
        return data
    at = data.index(b"zTXt") - 4
    end = at + 12 + struct.unpack(">I", data[at : at + 4])[0]
    return data[:at] + data[end:-12] + data[at:end] + data[-12:]


def jpeg_with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is repeated ``count`` times."""
    data = encoded(picture(), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")) : -2]
    return data[:-2] + last * count + data[-2:]


def corrupt_exif(kind: str) -> bytes:
    """A whole picture whose EXIF points behind its own end."""
    broken = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03\xff\xff\xff\xff\xff\xff\xff\xff"
    return encoded(picture(), kind, exif=broken)


def grey_ramp_16() -> np.ndarray:
    """(16, 256) uint16: each row rises from 0 to 65535 in steps of 257."""
    return np.tile(np.arange(256, dtype=np.uint16) * 257, (16, 1))


def palette_with_alpha() -> Image.Image:
    """64 x 48, mode P: the left half transparent, the right half opaque (0, 0, 200)."""
    image = Image.new("P", (64, 48), 0)
    image.putpalette([10, 10, 10, 0, 0, 200])
    image.paste(1, (32, 0, 64, 48))
    return image


def animated_webp() -> bytes:
    """Three frames; the first is `picture`, the others are plain."""
    first = Image.fromarray(picture())
    others = [Image.new("RGB", first.size, colour) for colour in ("green", "blue")]
    return encoded(first, "WEBP", save_all=True, append_images=others, duration=50)


def truncated(kind: str) -> list[Hostile]:
    """A file of ``kind`` cut in its header, early, in the middle and shortly before its end."""
    data = encoded(picture(), kind)
    cuts = {"header": 22, "tenth": len(data) // 10, "half": len(data) // 2, "late": len(data) - 40}
    name = kind.lower()
    return [Hostile(f"{name}_cut_{at}", data[:size], "truncated") for at, size in cuts.items()]


def hostile_images() -> list[Hostile]:
    """One of each kind; every name once. Limits as in `ImageLimits()`."""
    catalogue = [Hostile(name, data, reason) for name, data, reason in _refused()]
    catalogue += [Hostile(name, data, None) for name, data in _odd_but_read()]
    return catalogue + [item for kind in FORMATS for item in truncated(kind)]


def _refused() -> list[tuple[str, bytes, str]]:
    noise = np.random.default_rng(7).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    page = b"<!DOCTYPE html><html><head><title>404</title></head><body>secret</body></html>"
    jpeg = encoded(picture(), "JPEG")
    return [
        ("empty", b"", "empty"),
        ("html", page, "not_an_image"),
        ("html_after_spaces", b"\xef\xbb\xbf \r\n" + page, "not_an_image"),
        ("noise", noise, "not_an_image"),
        ("zeros", bytes(4096), "not_an_image"),
        ("text", b"BMW and II* are words, and so is P1", "not_an_image"),
        ("gif", encoded(picture(), "GIF"), "unsupported_format"),
        ("gif89a", b"GIF89a" + noise, "unsupported_format"),
        ("tga", encoded(picture(), "TGA"), "not_an_image"),  # has no mark, and no reader here
        ("bmp", encoded(picture(), "BMP"), "unsupported_format"),
        ("tiff", encoded(picture(), "TIFF"), "unsupported_format"),
        ("ppm", encoded(picture(), "PPM"), "unsupported_format"),
        ("heic", b"\0\0\0\x18ftypheic\0\0\0\0" + noise, "unsupported_format"),
        ("avif", b"\0\0\0\x18ftypavif\0\0\0\0" + noise, "unsupported_format"),
        ("psd", b"8BPS\0\1" + noise, "unsupported_format"),
        ("pdf", b"%PDF-1.7\n" + noise, "unsupported_format"),
        ("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n" + noise, "unsupported_format"),
        ("svg", b'<?xml version="1.0"?>\n<svg width="9"></svg>', "unsupported_format"),
        ("png_bomb", png_declaring(50_000, 50_000), "too_many_pixels"),
        ("png_bomb_above_pillows_limit", png_declaring(2**31 - 1, 2**31 - 1), "too_many_pixels"),
        ("jpeg_bomb", jpeg_declaring(65_000, 65_000), "too_many_pixels"),
        ("webp_bomb", webp_declaring(16_384, 16_384), "too_many_pixels"),
        ("png_text_bomb", png_text_bomb(), "too_many_pixels"),
        ("png_text_bomb_at_end", png_text_bomb(after_pixels=True), "too_many_pixels"),
        ("jpeg_scan_bomb", jpeg_with_scans(500), "too_many_pixels"),
        ("jpeg_segment_bomb", jpeg[:2] + b"\xff\xe5\0\2" * 30_000 + jpeg[2:], "too_many_pixels"),
        ("jpeg_half_with_end", jpeg[: len(jpeg) * 3 // 4] + b"\xff\xd9", "truncated"),
        ("png_1x1", encoded(picture(1, 1), "PNG"), "too_small"),
        ("png_1x20000", encoded(picture(20_000, 1), "PNG"), "too_small"),
        ("jpeg_corrupt_header", jpeg.replace(b"\xff\xc0", b"\xff\xc8"), "decode_error"),
        ("png_corrupt_pixels", _flip(encoded(picture(), "PNG")), "decode_error"),
    ]


def _odd_but_read() -> list[tuple[str, bytes]]:
    jpeg = encoded(picture(), "JPEG")
    photoshop = b"\xff\xed\0\x16Photoshop 3.0\x008BIM\x03\xed"  # ends within its first entry
    return [
        ("jpeg_cmyk", encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG")),
        ("jpeg_grey", encoded(picture()[..., 0], "JPEG")),
        ("jpeg_progressive", encoded(picture(), "JPEG", progressive=True)),
        ("jpeg_with_tail", jpeg + bytes(1000)),
        ("jpeg_corrupt_photoshop", jpeg[:2] + photoshop + jpeg[2:]),
        ("jpeg_on_mid_grey", encoded(np.full((48, 64, 3), 128, dtype=np.uint8), "JPEG")),
        ("png_16_bit_ramp", encoded(grey_ramp_16(), "PNG")),
        ("png_palette_alpha", encoded(palette_with_alpha(), "PNG", transparency=0)),
        ("webp_animated", animated_webp()),
        *((f"{kind.lower()}_corrupt_exif", corrupt_exif(kind)) for kind in FORMATS),
    ]


def _flip(png: bytes) -> bytes:
    at = png.index(b"IDAT") + 40
    return png[:at] + bytes(255 - value for value in png[at : at + 20]) + png[at + 20 :]

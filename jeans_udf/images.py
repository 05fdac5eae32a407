"""Encoded pictures to upright RGB pixels; knows no Spark and no model.

A picture that cannot be used raises `Rejected` with one of the closed reasons and nothing else.
Every state is local to the call, so any number of threads may decode at once: no global of Pillow
and no warnings filter is touched. Pillow's own limit (``Image.MAX_IMAGE_PIXELS``, an error above
178,956,970 pixels) is left in place below ours, because other code in the same process relies on
it too; a ``max_pixels`` above that number has no effect.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass

import numpy as np

# Registering these three here spares Pillow from importing all its readers at the first picture.
from PIL import Image, ImageChops, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401

from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.image_format import image_format, is_html, structure

_METADATA = re.compile(rb"Exif\0\0|MPF\0|Photoshop 3\.0\0")
"""Names of the JPEG segments that hold EXIF, a phone's further pictures, Photoshop's data."""
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
HASHED_SIDE = 64
"""Pixels of the shorter side, about, of the picture that `perceptual_hash` looks at."""
_TURNED = (5, 6, 7, 8)
"""Orientations that make the height the width."""


@dataclass(frozen=True)
class Picture:
    """A decoded image: ``pixels (h, w, 3) uint8`` RGB, upright, C-contiguous and writable.

    ``height`` and ``width`` are the upright image's, which ``pixels`` may show reduced.
    """

    pixels: np.ndarray
    height: int
    width: int

    @property
    def is_reduced(self) -> bool:
        return self.pixels.shape[:2] != (self.height, self.width)


def decode_image(data: bytes | None, limits: ImageLimits) -> np.ndarray:
    """Encoded ``data`` to ``(H, W, 3) uint8`` RGB, as `decode_picture`, at its full size."""
    return decode_picture(data, limits).pixels


def decode_picture(data: bytes | None, limits: ImageLimits, longest: int = 0) -> Picture:
    """Encoded ``data`` to an upright picture.

    EXIF orientation is applied; alpha is laid on white; of an animation the first frame is taken;
    16-bit grey is scaled to 8. ICC profiles are ignored: the numbers are read as sRGB. The picture
    has the smallest of the scales 1, 1/2, 1/4 and 1/8 at which its longer side still has
    ``longest`` pixels; 0: its full size. libjpeg decodes at that scale; of other formats the mean
    of the pixels is taken. Raises `Rejected`; its detail holds no byte of the file.
    """
    if data is None:
        raise Rejected("null_image", "there are no image bytes")
    if not data:
        raise Rejected("empty", "the image has zero bytes")
    if len(data) > limits.max_bytes:
        raise Rejected("too_many_bytes", f"{len(data)} bytes; images.max_bytes={limits.max_bytes}")
    kind = image_format(data)
    if kind is not None and kind not in {name.upper() for name in limits.formats}:
        raise Rejected("unsupported_format", f"{kind}; accepted: {', '.join(limits.formats)}")
    try:
        if kind is not None:
            _check_header(kind, data, limits)
        image: Image.Image = _open(data, limits)
        _check_size(image.size, limits)
        width, height = image.size
        _reduce(image, longest)
        image.load()
        if kind == "JPEG" and _runs_out(image, data, longest):
            raise Rejected("truncated", "JPEG: the picture's data end before its last pixel")
        orientation = _orientation(image)
        # One name for all steps, so that each step's picture is freed by the next.
        image = _rgb(image)
        if image.size == (width, height):
            image = _as_small(image, longest)
        image = _upright(image, orientation)
        if orientation in _TURNED:
            width, height = height, width
        return Picture(_pixels(image), height, width)
    except Rejected:
        raise
    except Exception as error:
        # Broken files raise nearly anything: SyntaxError, struct.error, OverflowError, MemoryError.
        rejected = _explain(kind, data, error)
    # Raised here, since chained to the decoder's error it would keep the decoder's memory alive.
    raise rejected


def perceptual_hash(picture: np.ndarray) -> int:
    """A hash of ``picture (H, W, 3) uint8`` RGB that near-duplicates nearly share, as int64.

    One bit for each of the 64 lowest frequencies: whether it is above their median (imagehash).
    """
    # Here and not above: whoever only decodes needs no scipy.
    import imagehash

    image = Image.fromarray(picture)
    # The hash looks at 32 x 32 pixels: means of whole blocks take half the time of one resize.
    image = image.reduce(max(1, min(image.size) // HASHED_SIDE))
    bits = imagehash.phash(image).hash.ravel()
    return int(np.packbits(bits).view(">i8")[0])


def sha256_hex(data: bytes) -> str:
    """Hex sha256 of ``data``, 64 digits."""
    return hashlib.sha256(data).hexdigest()


def _open(data: bytes, limits: ImageLimits) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=limits.formats)
    except Exception:
        # Pillow reads a JPEG's metadata while it opens it, and some broken ones stop it there.
        hidden = _METADATA.sub(lambda name: bytes(len(name[0])), data)
        if hidden == data:
            raise
        return Image.open(io.BytesIO(hidden), formats=limits.formats)


def _check_header(kind: str, data: bytes, limits: ImageLimits) -> None:
    """What must be refused before Pillow opens the file, which allocates a WebP's pixels."""
    found = structure(kind, data)
    if found.size is not None:
        _check_size(found.size, limits)
    if found.is_bomb:
        raise Rejected(
            "too_many_pixels",
            f"{kind}: a decompression bomb of {found.scans} scans, {found.segments} segments",
        )


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if min(size) < limits.min_side:
        raise Rejected("too_small", f"{width} x {height}; images.min_side={limits.min_side}")
    if width * height > limits.max_pixels:
        raise Rejected(
            "too_many_pixels", f"{width} x {height}; images.max_pixels={limits.max_pixels}"
        )


def _reduce(image: Image.Image, longest: int) -> None:
    """Let a JPEG that has not been decoded be so at the scale that ``longest`` asks for."""
    if longest and isinstance(image, JpegImagePlugin.JpegImageFile):
        side = max(image.size)
        # Pillow keeps both sides at least as long as it is told.
        width, height = (max(1, length * longest // side) for length in image.size)
        image.draft(None, (width, height))


def _as_small(image: Image.Image, longest: int) -> Image.Image:
    """What libjpeg does while it decodes, for pictures of other formats."""
    side = max(image.size)
    factor = next((by for by in (8, 4, 2) if longest and -(-side // by) >= longest), 1)
    return image if factor == 1 else image.reduce(factor)


def _runs_out(image: Image.Image, data: bytes, longest: int) -> bool:
    """Whether a JPEG has an end mark, but less data than pixels.

    libjpeg goes on in mid-grey then, and Pillow does not pass its warning on. A picture that ends
    in this grey by itself stays the same when further bits are put before its end mark.
    """
    corner = image.crop((max(0, image.width - 8), image.height - 1, *image.size))
    if corner.mode not in ("L", "RGB") or set(corner.tobytes()) != {128}:
        return False
    # The zero keeps a last 0xFF from becoming a marker. Bits without a pattern: reduced to an
    # eighth a picture shows its blocks' means alone, which a repeated byte may leave as they are.
    noise = hashlib.sha256(b"more").digest() * 4
    more = data[: structure("JPEG", data).end] + b"\0" + noise.replace(b"\xff", b"") + b"\xff\xd9"
    longer = Image.open(io.BytesIO(more), formats=["JPEG"])
    _reduce(longer, longest)
    return ImageChops.difference(image, longer).getbbox() is not None


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
        return value if value in _UPRIGHT else 1
    except Exception:
        # Broken metadata says nothing about the pixels.
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise Rejected("unsupported_format", f"{image.format} with floating-point pixels")
    if image.mode.startswith("I"):
        image = _eight_bits(image)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        # Pillow keeps the high byte of 16-bit colours, but the transparent colour whole.
        image.info["transparency"] = tuple(value >> 8 for value in key)
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image)
    return white


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit grey to 8 bits, 65535 to 255; `Image.convert` would clip instead of scale."""
    deep = np.clip(np.asarray(image), 0, 65535).astype(np.uint32)
    grey = Image.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey.putalpha(Image.fromarray(np.where(deep == key, 0, 255).astype(np.uint8)))
    return grey


def _pixels(image: Image.Image) -> np.ndarray:
    pixels = np.empty((image.height, image.width, 3), dtype=np.uint8)
    # In bands: converted at once, Pillow would hold two more copies of the picture meanwhile.
    rows = max(1, 1_000_000 // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def _explain(kind: str | None, data: bytes, error: Exception) -> Rejected:
    """Why Pillow gave up. Its own messages may quote the file, so none is passed on."""
    message = str(error).lower()
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return Rejected("too_many_pixels", f"{kind}: more pixels than Pillow opens")
    if kind == "PNG" and ("data too large" in message or "too much memory" in message):
        return Rejected("too_many_pixels", "PNG: a decompression bomb in text or profile")
    if kind is None:
        what = "looks like HTML" if is_html(data) else "the first bytes are of no known format"
        return Rejected("not_an_image", what)
    if "truncated" in message or structure(kind, data).end is None:
        return Rejected("truncated", f"{kind}: the file ends before the picture does")
    return Rejected("decode_error", f"{kind}: the decoder failed with {type(error).__name__}")

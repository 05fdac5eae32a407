"""Pictures in every mode and turn end as the upright RGB pixels that they show."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from hostile_images import (
    FORMATS,
    ORIENTATION,
    encoded,
    grey_ramp_16,
    hostile_images,
    jpeg_with_scans,
    outcome,
    palette_with_alpha,
    picture,
    with_orientation,
)
from PIL import Image, ImageFile

from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.images import decode_image, decode_picture, perceptual_hash, sha256_hex

# Pillow warns of broken metadata, which most of these files have on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
LIMITS = ImageLimits()


def mode_png(image: Image.Image, **options: object) -> np.ndarray:
    return decode_image(encoded(image, "PNG", **options), LIMITS)


def test_limits_are_inclusive() -> None:
    data = encoded(picture(20, 30), "PNG")
    exact = {"max_bytes": len(data), "max_pixels": 600, "min_side": 20}
    assert outcome(data, ImageLimits(**exact)) is None
    assert outcome(data, ImageLimits(**{**exact, "max_bytes": len(data) - 1})) == "too_many_bytes"
    assert outcome(data, ImageLimits(**{**exact, "max_pixels": 599})) == "too_many_pixels"
    assert outcome(data, ImageLimits(**{**exact, "min_side": 21})) == "too_small"


def test_only_the_accepted_formats_are_opened() -> None:
    for kind in FORMATS:
        others = ImageLimits(formats=tuple(name for name in FORMATS if name != kind))
        assert outcome(encoded(picture(), kind)) is None
        assert outcome(encoded(picture(), kind), others) == "unsupported_format"
    assert outcome(encoded(picture(), "GIF"), ImageLimits(formats=("GIF",))) is None


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_lossless_pixels_are_exact(kind: str) -> None:
    assert np.array_equal(decode_image(encoded(picture(), kind), LIMITS), picture())


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(kind: str, orientation: int) -> None:
    # Quality 100 without subsampling: the JPEG's error stays far below the block's contrast.
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    pixels = decode_image(with_orientation(kind, orientation, **options), LIMITS)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels.astype(int) - picture()).max() <= (12 if kind == "JPEG" else 0)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientation_leaves_the_picture(value: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    data = encoded(picture(), "PNG", exif=exif.tobytes())
    assert np.array_equal(decode_image(data, LIMITS), picture())


def test_broken_metadata_never_rejects() -> None:
    rng = np.random.default_rng(3)
    exif = Image.Exif()
    exif[0x011A] = exif[0x011B] = 72.0
    exif[ORIENTATION] = 6
    exif.get_ifd(0x8769)[0x9000] = b"0230"
    photoshop = b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0\0\0\0\x10" + bytes(16)
    segment = b"\xff\xed" + (len(photoshop) + 2).to_bytes(2, "big") + photoshop
    data = encoded(picture(), "JPEG", exif=exif.tobytes(), extra=segment)
    spans = [(data.index(b"Exif\0\0") + 6, len(exif.tobytes()) - 6),
             (data.index(b"Photoshop") + 14, 28)]
    for _ in range(400):
        broken = bytearray(data)
        for start, length in spans:
            for at in rng.integers(0, length, 4):
                broken[start + at] = rng.choice([0, 1, 255, rng.integers(256)])
        assert outcome(bytes(broken)) is None


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    pixels = decode_image(encoded(grey_ramp_16(), "PNG"), LIMITS)
    # 257 times a byte is that byte once scaled: 65535 to 255, 32896 to 128.
    expected = np.broadcast_to(np.arange(256)[None, :, None], (16, 256, 3))
    assert np.array_equal(pixels, expected)


def test_sixteen_bit_grey_with_a_transparent_value() -> None:
    deep = np.full((20, 20), 40_000, dtype=np.uint16)
    deep[:, :10] = 700
    pixels = mode_png(Image.fromarray(deep), transparency=700)
    assert (pixels[:, :10] == 255).all()  # white shows through
    assert (pixels[:, 10:] == 156).all()  # 40000 / 257 = 155.6


def test_alpha_is_laid_on_white() -> None:
    rgba = np.zeros((20, 30, 4), dtype=np.uint8)
    rgba[:, :10] = (200, 0, 0, 255)
    rgba[:, 10:20] = (0, 0, 0, 51)  # a fifth opaque: 255 * 4 / 5 = 204
    pixels = mode_png(Image.fromarray(rgba))
    assert (pixels[:, :10] == (200, 0, 0)).all()
    assert (pixels[:, 10:20] == 204).all()
    assert (pixels[:, 20:] == 255).all()


@pytest.mark.parametrize("transparency", [0, b"\0\xff"])
def test_transparent_palette_entry_is_white(transparency: int | bytes) -> None:
    pixels = mode_png(palette_with_alpha(), transparency=transparency)
    assert (pixels[:, :32] == 255).all() and (pixels[:, 32:] == (0, 0, 200)).all()
    assert (mode_png(palette_with_alpha())[:, :32] == 10).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_modes_agree_with_pillow(mode: str) -> None:
    image = Image.fromarray(picture()).convert(mode)
    assert np.array_equal(mode_png(image), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("key", [(250, 20, 20), (0xFA12, 0x1434, 0x1456)])
def test_transparent_colour_is_white(key: tuple[int, int, int]) -> None:
    # The second is how a 16-bit file names the same colour; Pillow reads its pixels as 8 bits.
    pixels = mode_png(Image.fromarray(picture()), transparency=key)
    assert (pixels[0, 0] == 255).all() and np.array_equal(pixels[20:], picture()[20:])


def test_cmyk_is_read_as_adobe_writes_it() -> None:
    red = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    pixels = decode_image(encoded(red, "JPEG", quality=100), LIMITS).astype(int)
    assert np.abs(pixels - (255, 0, 0)).max() <= 3


def test_ycck_is_read_as_adobe_writes_it() -> None:
    # Stored Y=128, Cb=128, Cr=200, K=255, which Pillow's writer inverts; the Adobe marker's last
    # byte 2 says YCCK. So R=229, G=77, B=128 are the inks, and 255 minus them the colours.
    ink = Image.new("CMYK", (32, 32), (255 - 128, 255 - 128, 255 - 200, 0))
    data = bytearray(encoded(ink, "JPEG", quality=100))
    data[data.index(b"Adobe") + 11] = 2
    pixels = decode_image(bytes(data), LIMITS).astype(int)
    assert np.abs(pixels - (255 - 229, 255 - 77, 255 - 128)).max() <= 3


def test_first_frame_of_an_animation() -> None:
    item = next(item for item in hostile_images() if item.name == "webp_animated")
    assert np.array_equal(decode_image(item.data, LIMITS), picture())


def test_a_phones_jpeg_with_further_pictures_is_a_jpeg() -> None:
    first, second = Image.fromarray(picture()), Image.new("RGB", (64, 48), "green")
    data = encoded(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert np.array_equal(decode_image(data, LIMITS), np.asarray(Image.open(io.BytesIO(data))))


def test_progressive_jpeg_of_an_ordinary_number_of_scans() -> None:
    assert outcome(jpeg_with_scans(5)) is None


def test_pillows_globals_stay() -> None:
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


def test_sha256_of_nothing_and_of_abc() -> None:
    assert sha256_hex(b"").startswith("e3b0c44298fc1c149afbf4c8996fb924")
    assert sha256_hex(b"abc") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("longest", "scale"), [(0, 1), (801, 1), (800, 1), (400, 2), (201, 2),
                                                (200, 4), (100, 8), (10, 8)])  # fmt: skip
def test_a_picture_is_decoded_as_small_as_may_be(kind: str, longest: int, scale: int) -> None:
    whole = Image.fromarray(smooth_picture(600, 800))
    data = encoded(np.asarray(whole), kind, **({} if kind == "PNG" else {"quality": 95}))
    found = decode_picture(data, LIMITS, longest)
    assert (found.height, found.width) == (600, 800)
    assert found.pixels.shape == (600 // scale, 800 // scale, 3)
    assert found.is_reduced == (scale > 1)
    wanted = np.asarray(whole.resize((800 // scale, 600 // scale), Image.Resampling.BOX))
    assert np.abs(found.pixels.astype(int) - wanted).mean() < 3


def test_a_reduced_picture_stands_upright_and_knows_its_size() -> None:
    flat = Image.fromarray(smooth_picture(300, 800))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    flat.save(buffer, "JPEG", quality=95, exif=exif)
    found = decode_picture(buffer.getvalue(), LIMITS, 200)
    assert (found.height, found.width) == (800, 300) and found.pixels.shape == (200, 75, 3)
    wanted = np.rot90(np.asarray(flat.resize((200, 75), Image.Resampling.BOX)), -1)
    assert np.abs(found.pixels.astype(int) - wanted).mean() < 3


def test_what_ends_early_is_told_at_any_scale() -> None:
    data = encoded(smooth_picture(600, 800), "JPEG", quality=95)
    for broken in (data[: len(data) // 2], data[: len(data) // 2] + b"\xff\xd9"):
        with pytest.raises(Rejected) as told:
            decode_picture(broken, LIMITS, 100)
        assert told.value.reason == "truncated"


def test_near_duplicates_share_nearly_all_of_their_hash() -> None:
    patches = np.random.default_rng(3).integers(0, 256, (15, 12, 3), dtype=np.uint8)
    whole = np.asarray(Image.fromarray(patches).resize((480, 600), Image.Resampling.BICUBIC))
    smaller = np.asarray(Image.fromarray(whole).resize((200, 250), Image.Resampling.LANCZOS))
    again = decode_image(encoded(whole, "JPEG", quality=60), LIMITS)
    other = np.ascontiguousarray(whole[::-1])

    def apart(one: np.ndarray, two: np.ndarray) -> int:
        return ((perceptual_hash(one) ^ perceptual_hash(two)) & (2**64 - 1)).bit_count()

    assert apart(whole, smaller) <= 4 and apart(whole, again) <= 4
    assert apart(whole, other) >= 16
    # The smallest picture that is accepted.
    assert -(2**63) <= perceptual_hash(whole[:16, :16].copy()) < 2**63


def smooth_picture(height: int, width: int) -> np.ndarray:
    """Colours that turn slowly, (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 60 + 1), np.cos(y / 45), np.sin((x + y) / 80)]
    return np.stack([(wave * 100 + 128).astype(np.uint8) for wave in waves], axis=2)

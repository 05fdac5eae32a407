"""Formats are told by their first bytes, sizes and ends by walking the segments."""

from __future__ import annotations

import pytest
from hostile_images import (
    FORMATS,
    encoded,
    jpeg_declaring,
    jpeg_with_scans,
    picture,
    png_chunk,
    png_declaring,
    webp_declaring,
)
from PIL import Image

from jeans_udf.image_format import MAX_SEGMENTS, image_format, is_html, structure

PILLOW_WRITES = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "ICO", "PPM", "PDF", "EPS", "JPEG2000", "AVIF",
    "SGI", "DDS", "ICNS", "QOI",
)  # fmt: skip


@pytest.mark.parametrize("kind", PILLOW_WRITES)
def test_what_pillow_writes_is_recognised(kind: str) -> None:
    Image.init()
    assert image_format(encoded(picture(64, 64), kind)) == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", None),
        (b"\xff\xd8", None),
        (b"BM and some text that starts as a bitmap does", None),
        (b"P1 is not followed by numbers, but may be a picture", "PPM"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "SVG"),
        (b"\xef\xbb\xbf\n<!-- drawn -->\n<svg>", "SVG"),
        (b"<html><body><svg width='1'></svg></body></html>", None),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", None),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
    ],
)
def test_first_bytes(data: bytes, kind: str | None) -> None:
    assert image_format(data) == kind


def test_html_is_a_page_and_not_any_text() -> None:
    assert is_html(b"\r\n <!DOCTYPE HTML><p>") and is_html(b"<?xml?><html lang='en'>")
    assert not is_html(b"text about <html>") and not is_html(b"<Error/>") and not is_html(b"")


@pytest.mark.parametrize("kind", FORMATS)
def test_size_and_end_of_whole_files(kind: str) -> None:
    data = encoded(picture(30, 70), kind)
    found = structure(kind, data)
    assert found.size == (70, 30) and found.end is not None and not found.is_bomb
    assert structure(kind, data[: len(data) // 2]).end is None
    assert structure(kind, data + b"\xff\xd8 more, as phones append").end == found.end


def test_every_kind_of_webp_states_its_size() -> None:
    alpha = Image.new("RGBA", (70, 30), (0, 0, 0, 9))
    for image, options, chunk in [
        (picture(30, 70), {"lossless": False}, b"VP8 "),
        (picture(30, 70), {"lossless": True}, b"VP8L"),
        (alpha, {"lossless": False}, b"VP8X"),
    ]:
        data = encoded(image, "WEBP", **options)
        assert data[12:16] == chunk and structure("WEBP", data).size == (70, 30)
        assert structure("WEBP", data[:28]).size is None


def test_declared_size_needs_no_such_picture() -> None:
    assert structure("PNG", png_declaring(50_000, 3)).size == (50_000, 3)
    assert structure("JPEG", jpeg_declaring(65_000, 7)).size == (65_000, 7)
    assert structure("WEBP", webp_declaring(16_384, 5)).size == (16_384, 5)
    assert structure("JPEG", jpeg_declaring(0, 7)).size is None


def test_scans_are_counted_through_comments_that_hide_an_end() -> None:
    assert structure("JPEG", encoded(picture(), "JPEG")).scans == 1
    data = jpeg_with_scans(300)
    assert structure("JPEG", data).is_bomb
    at = data.rindex(b"\xff\xc4", 0, len(data) // 2)
    hidden = data[:at] + b"\xff\xfe\0\x06\xff\xd9\xff\xd9" + data[at:]
    assert structure("JPEG", hidden).is_bomb


def test_segments_are_counted() -> None:
    data = encoded(picture(), "PNG")
    for count in (MAX_SEGMENTS // 2, MAX_SEGMENTS * 2):
        many = data[:33] + png_chunk(b"teSt", b"") * count + data[33:]
        assert structure("PNG", many).is_bomb == (count > MAX_SEGMENTS)


def test_end_is_found_behind_a_broken_length() -> None:
    png, jpeg = bytearray(encoded(picture(), "PNG")), bytearray(encoded(picture(), "JPEG"))
    ends = structure("PNG", bytes(png)).end, structure("JPEG", bytes(jpeg)).end
    png[34] = jpeg[4] = 0x77  # the first chunk of pixels, the first segment
    assert (structure("PNG", bytes(png)).end, structure("JPEG", bytes(jpeg)).end) == ends

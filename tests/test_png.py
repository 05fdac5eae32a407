"""Crops as PNG: lossless for other readers, nothing beside the pixels, no larger than Pillow's."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image

from jeans_udf.png import encode_png_rgba
from tests.test_images import smooth_picture


def test_a_crop_is_lossless_and_bare() -> None:
    crop = np.random.default_rng(1).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    for pixels in (crop, crop[:1, :1], crop[:, ::-1]):
        data = encode_png_rgba(pixels)
        image = Image.open(io.BytesIO(data))
        # A strict reader: checksums and ends are looked at.
        image.verify()
        image = Image.open(io.BytesIO(data))
        assert image.mode == "RGBA" and np.array_equal(np.asarray(image), pixels)
        chunks = re.findall(rb"[a-zA-Z]{4}", data[12:16] + data[33 + 4 : 33 + 8] + data[-8:-4])
        assert chunks == [b"IHDR", b"IDAT", b"IEND"]
        assert image.info == {}


def test_a_crop_of_a_picture_is_no_larger_than_pillow_makes_it() -> None:
    crop = np.zeros((400, 300, 4), np.uint8)
    crop[50:350, 40:260, :3] = smooth_picture(300, 220)
    crop[50:350, 40:260, 3] = 255
    store = io.BytesIO()
    Image.fromarray(crop).save(store, "PNG", compress_level=1)
    assert len(encode_png_rgba(crop)) < 1.1 * len(store.getvalue())


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 0, 4), (4, 4, 3), (4, 4)])
def test_what_is_no_picture_with_alpha_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wanted uint8"):
        encode_png_rgba(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="float64"):
        encode_png_rgba(np.zeros((4, 4, 4)))

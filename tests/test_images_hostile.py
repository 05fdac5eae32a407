"""Any bytes end as a picture or as one of the closed reasons, and never as anything else."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hostile_images import (
    FORMATS,
    Hostile,
    encoded,
    hostile_images,
    outcome,
    picture,
    png_declaring,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from jeans_udf.config import ImageLimits
from jeans_udf.errors import REASONS, Rejected
from jeans_udf.images import decode_image

# Pillow warns of broken metadata, which most of these files have on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
LIMITS = ImageLimits()
ODD_IMAGES = Path(__file__).parents[1] / "../shared/data/odd_images"


@pytest.mark.parametrize("item", hostile_images(), ids=lambda item: item.name)
def test_hostile_file_has_its_reason(item: Hostile) -> None:
    assert outcome(item.data) == item.reason


def test_null_is_not_empty() -> None:
    assert outcome(None) == "null_image"
    assert outcome(b"") == "empty"


def test_details_say_html_and_sizes_and_never_the_bytes() -> None:
    for item in hostile_images():
        if item.reason is None or item.reason == "empty":
            continue
        with pytest.raises(Rejected) as caught:
            decode_image(item.data, LIMITS)
        assert caught.value.__context__ is None, "the decoder's memory hangs on its traceback"
        assert not re.search(r"secret|<|\\x|b'", caught.value.detail), caught.value.detail
        if item.name.startswith("html"):
            assert "HTML" in caught.value.detail
    with pytest.raises(Rejected, match="50000 x 40000"):
        decode_image(png_declaring(50_000, 40_000), LIMITS)


@pytest.mark.parametrize("kind", FORMATS)
def test_cut_anywhere_it_is_truncated_or_whole(kind: str) -> None:
    data = encoded(picture(24, 32), kind)
    whole = decode_image(data, LIMITS)
    for size in range(16, len(data)):
        try:
            pixels = decode_image(data[:size], LIMITS)
        except Rejected as rejected:
            assert rejected.reason == "truncated", size
        else:
            # Behind the last pixel PNG has a checksum and an end mark; without them all is there.
            assert kind == "PNG" and size > len(data) - 24 and np.array_equal(pixels, whole)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(FORMATS), st.data())
def test_mutated_file_decodes_or_is_rejected(kind: str, draw: st.DataObject) -> None:
    data = bytearray(encoded(picture(24, 32), kind))
    for _ in range(draw.draw(st.integers(1, 8))):
        at = draw.draw(st.integers(0, len(data) - 1))
        data[at : at + draw.draw(st.integers(0, 3))] = draw.draw(st.binary(max_size=4))
    reason = outcome(bytes(data))
    assert reason is None or reason in REASONS


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_reason(data: bytes) -> None:
    assert outcome(data) in REASONS


def test_threads_get_what_one_gets() -> None:
    files = [item.data for item in hostile_images()] * 2
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(outcome, files)) == [outcome(data) for data in files]


@pytest.mark.skipif(not ODD_IMAGES.is_dir(), reason="the labelled photos' folder is not here")
def test_every_odd_image_ends_in_an_outcome(record_property: Callable[[str, object], None]) -> None:
    counts: dict[str, int] = {}
    for file in sorted(ODD_IMAGES.iterdir()):
        reason = outcome(file.read_bytes()) or "decoded"
        counts[reason] = counts.get(reason, 0) + 1
    record_property("outcomes", counts)
    assert counts and set(counts) <= {"decoded", *REASONS}

"""COCO's run lengths, checked before the C code that decodes them sees them."""

from __future__ import annotations

from typing import Any

import numpy as np

from jeans_udf.annotations.faults import Faulty, got

_LONGEST_NUMBER = 7
"""Characters of five bits each that a run within 2**31 pixels may take."""
_MOST = 4_000_000
"""Characters or runs of a mask; those of a garment have thousands."""


def run_counts(counts: Any, pixels: int) -> np.ndarray:
    """``counts``, a list or COCO's compressed text, to ``(runs,) int64`` that sum to ``pixels``.

    Runs of zeros and ones take turns, zeros first, column by column. Raises `Faulty` (bad_mask).
    The decoder of pycocotools reads beyond a text that ends within a number; so it is checked.
    """
    if isinstance(counts, str | list) and len(counts) > _MOST:
        raise Faulty("bad_mask", f"counts: {len(counts):,} long, wanted at most {_MOST:,}")
    if isinstance(counts, str):
        runs = _decompressed(counts, pixels)
    elif isinstance(counts, list):
        runs = _listed(counts, pixels)
    else:
        raise Faulty("bad_mask", f"counts: got {got(counts)}, wanted a list or a text")
    if runs.size and (runs.min() < 0 or runs.max() > pixels):
        raise Faulty("bad_mask", f"counts: a run is below 0 or above the mask's {pixels} pixels")
    # Each run is bounded by now, so that the sum cannot overflow.
    total = int(runs.sum())
    if total != pixels:
        raise Faulty("bad_mask", f"counts: sum to {total} pixels, wanted the mask's {pixels}")
    return runs


def compressed(counts: np.ndarray, height: int, width: int) -> dict[str, Any]:
    """Runs as `run_counts` gives them to ``{"size": [H, W], "counts": str}``."""
    from pycocotools import mask as coco

    rle = coco.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def _listed(counts: list[Any], pixels: int) -> np.ndarray:
    for count in counts:
        if type(count) is not int or not 0 <= count <= pixels:
            raise Faulty(
                "bad_mask", f"counts: got {got(count)}, wanted whole numbers from 0 to {pixels}"
            )
    return np.array(counts, dtype=np.int64)


def _decompressed(counts: str, pixels: int) -> np.ndarray:
    try:
        codes = np.frombuffer(counts.encode("ascii"), dtype=np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        raise Faulty("bad_mask", "counts: a character that is not ASCII") from None
    if codes.size == 0:
        raise Faulty("bad_mask", "counts: an empty text")
    if codes.min() < 0 or codes.max() > 63:
        raise Faulty("bad_mask", "counts: a character that compressed run lengths do not have")
    ends = np.flatnonzero(codes & 32 == 0)
    if not ends.size or ends[-1] != codes.size - 1:
        raise Faulty("bad_mask", "counts: the text ends within a number")
    starts = np.concatenate(([0], ends[:-1] + 1))
    if (ends - starts).max() >= _LONGEST_NUMBER:
        raise Faulty("bad_mask", f"counts: a number above the mask's {pixels} pixels")
    places = np.arange(codes.size) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    # The last character's fifth bit is the sign, extended to the left.
    values -= np.where(codes[ends] & 16, np.int64(1) << (5 * (ends - starts + 1)), 0)
    if np.abs(values).sum(dtype=np.float64) > 2.0**62:
        raise Faulty("bad_mask", f"counts: numbers above the mask's {pixels} pixels")
    # From the fourth on, each number is the difference to the one two places before.
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values

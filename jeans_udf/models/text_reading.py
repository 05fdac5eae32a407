"""How an encoder reads a text; apart from the encoder, which needs torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TokenVectors = Literal["none", "concat", "sum"]
"""Vectors of tokens: none, the last four layers side by side (4 x hidden), their sum (hidden)."""


@dataclass(frozen=True)
class Reading:
    """How a text becomes tokens, and which of them count.

    ``special_tokens``: [CLS] and [SEP] count in the mean. ``segment``: the segment that all tokens
    are said to be of, 0 as the encoders were trained, 1 as the notebook had it.
    ``commas_as_spaces``: as the notebook did before it cut its texts. ``max_tokens``: longer texts
    are cut there, special tokens included.
    """

    special_tokens: bool = True
    segment: Literal[0, 1] = 0
    commas_as_spaces: bool = False
    max_tokens: int = 256

"""Batches that shrink when the device's memory does not hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def is_out_of_memory(error: Exception) -> bool:
    """Whether ``error`` says that a device or the machine has no memory left."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        # The CPU's allocator raises a plain RuntimeError.
        isinstance(error, RuntimeError)
        and any(words in str(error) for words in ("out of memory", "can't allocate memory"))
    )


class Halving(Generic[Item, Result]):
    """Runs ``function`` on a batch; out of memory, on its halves, and so from then on.

    The largest batch that may be tried is kept, so that one overflow is paid for once. A single
    item that does not fit raises what the device raised.
    """

    def __init__(self, function: Callable[[Sequence[Item]], list[Result]]) -> None:
        self.function = function
        self.largest: int | None = None

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        results: list[Result] = []
        start = 0
        while start < len(items):
            size = min(len(items) - start, self.largest or len(items))
            try:
                results += self.function(items[start : start + size])
            except Exception as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                self.largest = size // 2
            else:
                start += size
                continue
            # Outside the handler: inside it the traceback still holds the tensors.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return results

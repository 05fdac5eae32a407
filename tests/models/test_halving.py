from __future__ import annotations

import pytest
import torch

from jeans_udf.models.halving import Halving, is_out_of_memory


def _device(limit: int, tried: list[int]) -> Halving[int, int]:
    """Squares numbers, at most ``limit`` at a time."""

    def square(batch: list[int]) -> list[int]:
        tried.append(len(batch))
        if len(batch) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return [number * number for number in batch]

    return Halving(square)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8, 20])
def test_nothing_is_lost_and_the_order_stays(limit: int) -> None:
    run = _device(limit, [])
    assert run(list(range(8))) == [k * k for k in range(8)]


def test_an_overflow_is_paid_for_once() -> None:
    tried: list[int] = []
    run = _device(3, tried)
    run(list(range(8)))
    assert tried == [8, 4, 2, 2, 2, 2]
    tried.clear()
    run(list(range(8)))
    assert tried == [2, 2, 2, 2], "the next batch starts with what went through"


def test_one_that_does_not_fit_raises() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        _device(0, [])([1, 2, 3])


def test_other_errors_are_not_swallowed() -> None:
    def broken(batch: list[int]) -> list[int]:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Halving(broken)([1, 2])


def test_what_counts_as_out_of_memory() -> None:
    cpu = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"
    assert is_out_of_memory(RuntimeError(cpu)) and is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("index out of range"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_nothing_in_nothing_out() -> None:
    assert _device(1, [])([]) == []

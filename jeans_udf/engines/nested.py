"""Tensors nested in lists, tuples and dicts, as flat lists and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch


def flat(nested: Any) -> list[torch.Tensor]:
    """The tensors of ``nested``, in order."""
    if isinstance(nested, torch.Tensor):
        return [nested]
    values = nested.values() if isinstance(nested, Mapping) else nested
    return [tensor for value in values for tensor in flat(value)]


def nested_as(pattern: Any, tensors: Sequence[torch.Tensor]) -> Any:
    """``tensors`` nested as those of ``pattern`` are."""
    return _fill(pattern, iter(tensors))


def _fill(pattern: Any, tensors: Iterator[torch.Tensor]) -> Any:
    if isinstance(pattern, torch.Tensor):
        return next(tensors)
    if isinstance(pattern, Mapping):
        return {key: _fill(value, tensors) for key, value in pattern.items()}
    return type(pattern)(_fill(value, tensors) for value in pattern)

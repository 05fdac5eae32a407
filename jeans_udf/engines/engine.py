"""The interface of engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch
from torch import nn

EngineName = Literal["auto", "openvino", "onnxruntime", "torch"]
Precision = Literal["fp32", "bf16", "fp16"]

Run = Callable[[Sequence[torch.Tensor]], list[torch.Tensor]]
"""Tensors in, tensors out, on the engine's device; float32 both, rows first."""


class Engine(Protocol):
    """Runs parts of models. One a model, on one device."""

    name: str

    def run(
        self, part: str, net: nn.Module, example: Sequence[torch.Tensor], *, any_size: bool
    ) -> Run:
        """``net``, which is the engine's from then on, as a callable.

        ``net`` takes the tensors of ``example`` as positional arguments and gives a tuple of
        tensors. The number of rows may be another in each call; with ``any_size`` so may height
        and width (dimensions 2 and 3). ``part`` names it among the parts of the same model.
        """
        ...

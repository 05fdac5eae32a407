"""Torch itself: always there, and the only engine on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from jeans_udf.engines.engine import Precision, Run

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine:
    """Runs a part in torch, in ``precision``; what goes in and comes out stays float32."""

    name = "torch"

    def __init__(self, device: torch.device, precision: Precision = "fp32") -> None:
        self.device, self.dtype = device, DTYPES[precision]

    def run(
        self, part: str, net: nn.Module, example: Sequence[torch.Tensor], *, any_size: bool
    ) -> Run:
        # Depthwise convolutions run about a third faster in this layout on CPUs, and tensor cores
        # of GPUs want it.
        net = net.eval().to(self.device, self.dtype).to(memory_format=torch.channels_last)
        dtype = self.dtype

        @torch.inference_mode()
        def run(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            return [output.float() for output in net(*(_laid_out(x.to(dtype)) for x in inputs))]

        return run


def _laid_out(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dim() != 4:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)

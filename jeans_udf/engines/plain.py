"""Torch itself: always there, and the only engine on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from jeans_udf.engines.engine import Precision, Run

LEAST_ROWS = 8
"""On a GPU; fewer take as long."""
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
        dtype, on_gpu = self.dtype, self.device.type == "cuda"

        @torch.inference_mode()
        def run(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            rows = len(inputs[0])
            more = _more_rows(rows) if on_gpu else 0
            outputs = net(*(_laid_out(_lengthened(x.to(dtype), more)) for x in inputs))
            return [output[:rows].float() for output in outputs]

        return run


def _more_rows(rows: int) -> int:
    """Up to a power of two: cuDNN prepares kernels anew, for seconds, for every size it sees."""
    return max(LEAST_ROWS, 1 << (rows - 1).bit_length()) - rows


def _lengthened(tensor: torch.Tensor, more: int) -> torch.Tensor:
    if not more:
        return tensor
    return torch.cat([tensor, tensor.new_zeros(more, *tensor.shape[1:])])


def _laid_out(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dim() != 4:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)

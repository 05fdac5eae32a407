"""OpenVINO on CPUs, after its Python API and the CPU device's page: https://docs.openvino.ai"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jeans_udf.engines.engine import Precision, Run
from jeans_udf.engines.exported import Exported

# Its package reports its use over the network when this one is installed; with None in its place
# the import fails, which OpenVINO is prepared for.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
import openvino  # noqa: E402

MODEL = "model.xml"
PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoEngine:
    """Runs a part as OpenVINO compiles it for this CPU, with ``threads`` threads."""

    name = "openvino"

    def __init__(self, model_sha256: str, threads: int, precision: Precision = "fp32") -> None:
        self.exported = Exported(model_sha256, ("openvino", openvino.__version__,
                                                torch.__version__))
        self.core: Any = openvino.Core()
        self.settings = {
            # What the machine would choose by itself, bfloat16 on some, is not what was asked for.
            "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # Pinned, the threads of every worker of a machine would run on its first cores.
            "ENABLE_CPU_PINNING": False,
        }

    def run(
        self, part: str, net: nn.Module, example: Sequence[torch.Tensor], *, any_size: bool
    ) -> Run:
        def export(folder: Path) -> None:
            shapes = [_shape(tensor, any_size) for tensor in example]
            # A model that was traced in inference mode cannot be converted.
            with torch.inference_mode(False), torch.no_grad():
                model = openvino.convert_model(net.eval(), example_input=tuple(example),
                                               input=shapes)
            openvino.save_model(model, folder / MODEL, compress_to_fp16=False)

        try:
            model = self.core.read_model(self.exported.folder(part, export) / MODEL)
        except RuntimeError:
            self.exported.forget(part)
            model = self.core.read_model(self.exported.folder(part, export) / MODEL)
        request = self.core.compile_model(model, "CPU", self.settings).create_infer_request()
        outputs = len(model.outputs)

        def run(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            arrays = [tensor.contiguous().numpy() for tensor in inputs]
            # Copied out: the next call writes its results to the same memory.
            results = request.infer(arrays, share_inputs=True, share_outputs=False)
            return [torch.from_numpy(results[index]) for index in range(outputs)]

        return run


def _shape(tensor: torch.Tensor, any_size: bool) -> Any:
    free = (0, 2, 3) if any_size else (0,)
    return openvino.PartialShape(
        [-1 if index in free else size for index, size in enumerate(tensor.shape)]
    )

"""ONNX Runtime on CPUs. https://onnxruntime.ai/docs/api/python/api_summary.html"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime
import torch
from torch import nn

from jeans_udf.engines.engine import Run
from jeans_udf.engines.exported import Exported

MODEL = "model.onnx"


class OnnxEngine:
    """Runs a part as ONNX Runtime does on this CPU, with ``threads`` threads, in float32."""

    name = "onnxruntime"

    def __init__(self, model_sha256: str, threads: int) -> None:
        self.exported = Exported(model_sha256, ("onnxruntime", onnxruntime.__version__,
                                                torch.__version__))
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1
        self.options.log_severity_level = 3

    def run(
        self, part: str, net: nn.Module, example: Sequence[torch.Tensor], *, any_size: bool
    ) -> Run:
        def export(folder: Path) -> None:
            with torch.inference_mode(False), torch.no_grad():
                _export(net.eval(), example, folder / MODEL, any_size)

        try:
            session = self._open(self.exported.folder(part, export))
        except Exception:
            self.exported.forget(part)
            session = self._open(self.exported.folder(part, export))
        names = [value.name for value in session.get_inputs()]

        def run(inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
            arrays = [tensor.contiguous().numpy() for tensor in inputs]
            results = session.run(None, dict(zip(names, arrays, strict=True)))
            return [torch.from_numpy(result) for result in results]

        return run

    def _open(self, folder: Path) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(
            folder / MODEL, self.options, providers=["CPUExecutionProvider"]
        )


def _export(
    net: nn.Module, example: Sequence[torch.Tensor], file: Path, any_size: bool
) -> None:
    names = [f"input{index}" for index in range(len(example))]
    sizes = {0: "rows", 2: "height", 3: "width"} if any_size else {0: "rows"}
    # The exporter by tracing: the newer one ties height and width to the example's multiples.
    torch.onnx.export(
        net, tuple(example), str(file), input_names=names, dynamo=False,
        dynamic_axes={name: {axis: f"{size}_{name}" for axis, size in sizes.items()}
                      for name in names},
    )  # fmt: skip

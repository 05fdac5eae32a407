"""The engines by their names, and which one a device takes by itself."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

from jeans_udf.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from jeans_udf.engines.engine import Engine, EngineName, Precision

PREFERRED = ("openvino", "onnxruntime")
"""On a CPU, the first that is installed; the packages have the engines' names."""

PRECISIONS: dict[str, tuple[str, ...]] = {
    "openvino": ("fp32", "bf16"),
    "onnxruntime": ("fp32",),
    "torch": ("fp32", "bf16", "fp16"),
}


def check_engine(name: EngineName, precision: Precision) -> None:
    """Raise `ConfigError` for an engine that is not installed or that lacks the precision.

    Loads nothing: the driver, which runs no model, asks before a run starts.
    """
    if name in PREFERRED and not _installed(name):
        raise ConfigError(
            f"device.engine={name}: the package is not installed here; pip install {name}, or "
            "take device.engine=auto (what is there) or torch"
        )
    if name != "auto" and precision not in PRECISIONS[name]:
        raise ConfigError(
            f"device.precision={precision}: the engine {name} has {', '.join(PRECISIONS[name])}"
        )


def open_engine(
    name: EngineName,
    device: torch.device,
    *,
    model_sha256: str,
    threads: int,
    precision: Precision = "fp32",
) -> Engine:
    """The engine ``name`` on ``device``; ``auto`` is torch on a GPU and the fastest on a CPU.

    ``model_sha256`` tells models apart whose exported parts are kept; see `exported.Exported`.
    Raises `ConfigError` as `check_engine`, and for an engine that does not run on the device.
    """
    check_engine(name, precision)
    chosen: str = name
    if name == "auto":
        chosen = _fastest(device, precision)
    elif device.type != "cpu" and name != "torch":
        raise ConfigError(f"device.engine={name} runs on CPUs; for a GPU take auto or torch")
    if device.type == "cpu" and precision == "fp16":
        raise ConfigError("device.precision=fp16 is for GPUs; a CPU has fp32 and bf16")
    return ENGINES[chosen](device, model_sha256, threads, precision)


def _fastest(device: torch.device, precision: Precision) -> str:
    if device.type == "cpu":
        for name in PREFERRED:
            if _installed(name) and precision in PRECISIONS[name]:
                return name
    return "torch"


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _openvino(device: torch.device, sha256: str, threads: int, precision: Precision) -> Engine:
    from jeans_udf.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(sha256, threads, precision)


def _onnxruntime(device: torch.device, sha256: str, threads: int, precision: Precision) -> Engine:
    from jeans_udf.engines.onnx_engine import OnnxEngine

    return OnnxEngine(sha256, threads)


def _torch(device: torch.device, sha256: str, threads: int, precision: Precision) -> Engine:
    from jeans_udf.engines.plain import TorchEngine

    return TorchEngine(device, precision)


ENGINES: dict[str, Callable[[torch.device, str, int, Precision], Engine]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "torch": _torch,
}

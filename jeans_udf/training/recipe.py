"""How a detector is trained: the settings, the course of the learning rate, the precision."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from jeans_udf.errors import ConfigError

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Recipe:
    """How a detector is trained."""

    epochs: int = 20
    """Passes over the photos with garments (and a sample of the others)."""
    learning_rate: float = 4e-4
    """Peak of AdamW's learning rate; a pretrained backbone gets a third of it."""
    weight_decay: float = 0.02
    """AdamW's decoupled weight decay."""
    warmup_steps: int = 200
    """Steps until the peak; after it the rate falls along a cosine to a hundredth."""
    average: float = 0.998
    """Decay of the weights' moving average, which is what is evaluated and saved."""
    largest_gradient: float = 5.0
    """Norm to which the gradient of a step is cut."""
    evaluate_every: int = 2
    """Epochs between two evaluations on the validation photos; the best one's weights are kept."""
    precision: str = "float32"
    """Of matrix products and convolutions: float32, bfloat16 or float16."""
    seed: int = 0
    """Of the fresh weights."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise ConfigError(f"precision: got {self.precision!r}, wanted one of {known}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at ``step`` of ``steps``: linear warm-up, then half a cosine."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        falling = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
        return max(self.learning_rate * warm * falling, self.learning_rate * 0.01)


def default_precision(device: torch.device) -> str:
    """bfloat16 on a GPU that computes in it, float16 on others, float32 on the CPU."""
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context in which a forward pass computes with ``precision``."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)


def parameter_groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """AdamW's groups; ``scale`` relates a group's learning rate to the recipe's."""
    backbone: Any = model.backbone
    pretrained = {id(p) for p in backbone.bottom_up.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            key = (id(parameter) in pretrained, parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "scale": 1 / 3 if is_pretrained else 1.0,
            "lr": recipe.learning_rate,
            # Biases and norms are not decayed.
            "weight_decay": recipe.weight_decay if decays else 0.0,
        }
        for (is_pretrained, decays), parameters in groups.items()
    ]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]

"""One step of a detector's training: forward, backward, update, moving average."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from detectron2.utils.events import EventStorage
from torch import nn

from jeans_udf.training.recipe import Recipe, autocast, parameter_groups, set_rate


class Trainer:
    """A model with its optimizer, its moving average and, for float16, its gradient scaler."""

    def __init__(self, model: nn.Module, recipe: Recipe, device: torch.device) -> None:
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.recipe, self.device = recipe, device
        self.optimizer = torch.optim.AdamW(parameter_groups(model, recipe))
        scaled = recipe.precision == "float16" and device.type == "cuda"
        self.scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self.skipped = 0

    def step(self, batch: list[dict[str, Any]], rate: float) -> float:
        """Learn from ``batch`` (`examples.example` each) at ``rate``; the loss before it."""
        self.model.train()
        set_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        try:
            loss = self._loss(batch)
            value = float(loss.detach())
        except FloatingPointError:
            # Detectron2's RPN raises when its proposals are not finite.
            value = math.nan
        if not math.isfinite(value):
            # One bad batch must not spoil the weights; a run of them is the caller's to see.
            self.skipped += 1
            return value
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.largest_gradient)
        if not torch.isfinite(norm):
            self.skipped += 1
            # A gradient scaler learns from it that its scale is too large.
            self.scaler.update()
            return value
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.model.parameters(), strict=True)
            for mean, parameter in pairs:
                if parameter.requires_grad:
                    mean.lerp_(parameter, 1 - self.recipe.average)
        return value

    def _loss(self, batch: list[dict[str, Any]]) -> torch.Tensor:
        inputs = [{name: value.to(self.device) for name, value in x.items()} for x in batch]
        # Detectron2's heads log their statistics to a storage and fail without one.
        with EventStorage(), autocast(self.device, self.recipe.precision):
            return sum(self.model(inputs).values())

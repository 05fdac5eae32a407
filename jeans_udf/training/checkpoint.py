"""Checkpoints of a training: tensors in safetensors, the rest in JSON; no pickle.

A directory ``checkpoint`` is replaced in one rename, so that a crash leaves the old or the new.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def save_checkpoint(
    directory: Path,
    models: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    """Write models, the optimizer's moments and ``state`` (JSON) to ``directory/checkpoint``."""
    tensors = {
        f"{prefix}/{name}": value.contiguous()
        for prefix, model in models.items()
        for name, value in model.state_dict().items()
    }
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer/{index}/{name}"] = torch.as_tensor(value).contiguous()
    fresh = directory / "checkpoint.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    save_file(tensors, fresh / "tensors.safetensors")
    (fresh / "state.json").write_text(json.dumps(state, indent=1))
    old = directory / "checkpoint"
    shutil.rmtree(old, ignore_errors=True)
    fresh.rename(old)


def load_checkpoint(
    directory: Path, models: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> dict[str, Any] | None:
    """Fill models and optimizer from ``directory/checkpoint``; its state, or None without one."""
    place = _place(directory)
    if place is None:
        return None
    tensors = load_file(place / "tensors.safetensors")
    for prefix, model in models.items():
        mine = {k.removeprefix(f"{prefix}/"): v for k, v in tensors.items()
                if k.startswith(f"{prefix}/")}
        model.load_state_dict(mine)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer/"):
            _, index, name = key.split("/")
            moments.setdefault(int(index), {})[name] = value
    # Learning rates and the like come from this run's arguments, only the moments from the file.
    fresh = optimizer.state_dict()
    optimizer.load_state_dict({"state": moments, "param_groups": fresh["param_groups"]})
    return dict(json.loads((place / "state.json").read_text()))


def read_state(directory: Path) -> dict[str, Any] | None:
    """The state alone of ``directory/checkpoint``, or None without one."""
    place = _place(directory)
    return None if place is None else dict(json.loads((place / "state.json").read_text()))


def _place(directory: Path) -> Path | None:
    """The checkpoint; the fresh one where a crash came between removing and renaming."""
    for name in ("checkpoint", "checkpoint.new"):
        if (directory / name / "state.json").is_file():
            return directory / name
    return None

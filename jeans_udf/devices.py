"""Which device a task's models run on, and what it takes of memory. Needs no library to import:
`doctor` looks at machines that lack them."""

from __future__ import annotations

import os

BATCHES = {"cpu": (420_000, 4), "cuda": (6_500_000, 64)}
"""Pixels of a detector's batch and crops of a classifier's, where the configuration names none.

On a CPU larger ones leave its caches between two layers: 7 images took 13 % longer than 2.
"""

CUDA_BYTES = 2_500_000_000
"""Allowed on a GPU besides isolation.max_memory_bytes: CUDA's libraries and context, in the host's
memory. Of the same photos a process took 3.1 GB with an H100, 1.3 GB without one."""

NVIDIA_DRIVER = "/dev/nvidiactl"
"""There where a process may talk to NVIDIA's driver."""

CONTEXT_BYTES = 800_000_000
"""What CUDA takes of a GPU for a process beside what torch allocates, which counts in no share:
0.65 GB for the context alone, 0.74 GB with the pass's kernels (H100, torch 2.11 for CUDA 13)."""


def drives_gpu(kind: str, gpu: str | None) -> bool:
    """Whether a task's models run on a GPU, as far as that can be told without loading torch.

    ``gpu`` is the address that Spark gave the task, if any.
    """
    if kind == "auto" and gpu is None:
        return os.path.exists(NVIDIA_DRIVER)
    return kind != "cpu"


def memory_fraction(share: float, total_bytes: int) -> float:
    """The part of a GPU's memory that torch may allocate.

    Raises RuntimeError where none is left.
    """
    fraction = share - CONTEXT_BYTES / total_bytes
    if fraction <= 0:
        raise RuntimeError(
            f"a share of {share:g} of a GPU with {total_bytes / 1e9:.0f} GB is less than CUDA "
            "itself takes; give tasks more of it (spark.task.resource.gpu.amount)"
        )
    return fraction


def task_device(kind: str, gpu: str | None) -> str:
    """``cpu`` or ``cuda:N``: the GPU that Spark gave the task, else a visible one, else the CPU.

    Raises RuntimeError when ``kind`` is cuda and there is none.
    """
    import torch

    if kind == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return f"cuda:{gpu or 0}"
    if kind == "cuda":
        raise RuntimeError(
            "device.kind=cuda, but torch sees no GPU in this task; set "
            "spark.task.resource.gpu.amount and the executor's, or use device.kind=auto"
        )
    return "cpu"

"""Opens the models in the child process: device, threads, the same bundle as the driver's."""

from __future__ import annotations

from collections.abc import Sequence

from jeans_udf.config import TaggingConfig
from jeans_udf.isolation.child import TagGroup, limit_memory

CONTEXT_BYTES = 800_000_000
"""What CUDA takes of a GPU for a process beside what torch allocates, which counts in no share:
0.65 GB for the context alone, 0.74 GB with the pass's kernels (H100, torch 2.11 for CUDA 13)."""

HEADROOM = 2.0
"""The system's limit, over the supervisor's: it counts what the threads' heaps have set aside, too,
1.7 times what was in use when the models took most."""


def open_tagger(
    places: Sequence[str],
    sha256: str,
    config: TaggingConfig,
    threads: int,
    gpu: str | None,
    gpu_share: float = 1.0,
) -> TagGroup:
    """`tagger.Tagger.tag` of the bundle in one of ``places`` (`bundle_places`).

    Its manifest must have ``sha256``.

    ``gpu`` is the address that Spark gave the task, if any, and ``gpu_share`` the part of its
    memory that the task may take. Raises `BundleError` for another
    bundle than the driver's, RuntimeError where a GPU is asked for and there is none.
    """
    # Imported here, in the child: neither the driver nor Spark's worker loads torch.
    import torch

    from jeans_udf.bundle import open_bundle
    from jeans_udf.bundle_places import place_here
    from jeans_udf.errors import BundleError
    from jeans_udf.tagger import Tagger

    torch.set_num_threads(threads)
    bundle = open_bundle(place_here(places))
    if bundle.manifest_sha256 != sha256:
        raise BundleError(
            f"bundle {bundle.directory}: this worker's manifest has sha256 "
            f"{bundle.manifest_sha256[:12]}…, the driver's {sha256[:12]}…; "
            "put the same bundle on every machine"
        )
    device = torch.device(task_device(config.device.kind, gpu))
    if device.type == "cuda" and gpu_share < 1:
        # Neighbours on the GPU then cannot take this task's memory, nor it theirs.
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(memory_fraction(gpu_share, total), device)
    tagger = Tagger(bundle, config, device)
    if device.type == "cpu":
        limit_memory(int(HEADROOM * config.isolation.max_memory_bytes))
    return tagger.tag


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

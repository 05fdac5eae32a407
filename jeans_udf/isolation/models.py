"""Opens the models in the child process: device, threads, the same bundle as the driver's."""

from __future__ import annotations

from collections.abc import Sequence

from jeans_udf.config import TaggingConfig
from jeans_udf.devices import memory_fraction, task_device
from jeans_udf.isolation.child import TagGroup, limit_memory

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

"""Which device a task gets, and how much of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from stub_tagger import VOCABULARY

from jeans_udf import devices, udf
from jeans_udf.bundle import open_bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.devices import CONTEXT_BYTES, CUDA_BYTES, memory_fraction, task_device
from jeans_udf.errors import BundleError
from jeans_udf.isolation.models import open_tagger
from jeans_udf.schemas import staged_schema


@pytest.mark.parametrize(
    ("kind", "gpu", "there", "device"),
    [("auto", None, False, "cpu"), ("auto", None, True, "cuda:0"), ("auto", "3", True, "cuda:3"),
     ("cuda", "1", True, "cuda:1"), ("cpu", "1", True, "cpu")],
)  # fmt: skip
def test_the_gpu_that_spark_gave(
    kind: str, gpu: str | None, there: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert task_device(kind, gpu) == device


def test_a_gpu_that_is_asked_for_and_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="torch sees no GPU in this task"):
        task_device("cuda", "0")


@pytest.mark.parametrize(
    ("kind", "gpu", "driver", "drives"),
    [("auto", None, True, True), ("auto", None, False, False), ("auto", "1", False, True),
     ("cuda", None, False, True), ("cpu", None, True, False), ("cpu", "1", True, False)],
)  # fmt: skip
def test_a_task_with_a_gpu_may_take_more_of_the_hosts_memory(
    kind: str, gpu: str | None, driver: bool, drives: bool, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", str(tmp_path) if driver else f"{tmp_path}/none")
    assert devices.drives_gpu(kind, gpu) is drives


def task_with(monkeypatch: pytest.MonkeyPatch, gpu: str | None, cores: int) -> None:
    resources = {} if gpu is None else {"gpu": SimpleNamespace(addresses=[gpu])}
    context = SimpleNamespace(resources=lambda: resources, cpus=lambda: cores)
    monkeypatch.setattr(udf.TaskContext, "get", lambda: context)


def test_a_tasks_models_get_its_gpu_its_cores_and_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []
    closed: list[Any] = []

    class Recorded:
        def __init__(self, open_tagger: Any, limits: Any, *_: Any) -> None:
            self.args, self.limits = open_tagger.args, limits
            made.append(self)

        def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(udf, "Supervisor", Recorded)
    monkeypatch.setattr(udf, "_SUPERVISORS", {})
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", "/none")
    config, schema = TaggingConfig(), staged_schema(VOCABULARY)

    def meet(gpu: str | None, cores: int, config: TaggingConfig = config) -> Any:
        task_with(monkeypatch, gpu, cores)
        return udf._supervisor(("here/",), "abc", config, schema, 0.125)

    one = meet("1", 2)
    assert one.args == (("here/",), "abc", config, 2, "1", 0.125)
    assert one.limits.max_memory_bytes == config.isolation.max_memory_bytes + CUDA_BYTES
    other = meet("0", 2)
    assert other is not one and not closed, "a worker keeps its models on each GPU that it met"
    assert meet("1", 2) is one and len(made) == 2
    alone = meet(None, 3)
    assert alone.args[3:5] == (3, None) and closed == [one, other]
    assert alone.limits.max_memory_bytes == config.isolation.max_memory_bytes


def test_another_bundle_than_the_drivers_is_refused() -> None:
    folder = str(open_bundle("default").directory)
    with pytest.raises(BundleError, match="put the same bundle on every machine"):
        open_tagger((f"{folder}/",), "0" * 64, TaggingConfig(), 1, None)


def test_eight_tasks_share_a_gpu_and_leave_room_for_cuda() -> None:
    total = 24_000_000_000
    assert 8 * (memory_fraction(0.125, total) * total + CONTEXT_BYTES) == pytest.approx(total)
    with pytest.raises(RuntimeError, match="less than CUDA itself takes"):
        memory_fraction(0.01, total)

"""Which device a task gets, and how much of it."""

from __future__ import annotations

import pytest
import torch

from jeans_udf.isolation.models import CONTEXT_BYTES, memory_fraction, task_device


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


def test_eight_tasks_share_a_gpu_and_leave_room_for_cuda() -> None:
    total = 24_000_000_000
    assert 8 * (memory_fraction(0.125, total) * total + CONTEXT_BYTES) == pytest.approx(total)
    with pytest.raises(RuntimeError, match="less than CUDA itself takes"):
        memory_fraction(0.01, total)

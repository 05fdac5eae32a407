"""The doctor finds what is there, and says what to do about what is not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jeans_udf import doctor
from jeans_udf.config import TaggingConfig
from jeans_udf.doctor import Finding, examine

ROOT = Path(__file__).parents[1]


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    assert len({finding.about for finding in findings}) == len(findings)
    return {finding.about: finding for finding in findings}


def test_a_machine_that_is_set_up() -> None:
    done = subprocess.run([sys.executable, "jobs/doctor.py"], cwd=ROOT, capture_output=True,
                          text=True, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the jobs can run here" in done.stdout
    for word in ("Java", "pyspark", "detectron2", "every digest right", "openvino"):
        assert word in done.stdout, word


BARE = """
import sys
from unittest import mock
with mock.patch.dict(sys.modules, dict.fromkeys(("pandas", "pyspark", "torch", "detectron2"))):
    from jeans_udf import doctor
    from jeans_udf.config import TaggingConfig
    print(len(doctor._pass(TaggingConfig())), len(doctor._memory(TaggingConfig())))
"""


def test_it_looks_at_a_machine_that_lacks_the_libraries() -> None:
    done = subprocess.run([sys.executable, "-c", BARE], cwd=ROOT, capture_output=True, text=True,
                          timeout=60)  # fmt: skip
    assert done.returncode == 0 and done.stdout.split() == ["0", "1"], done.stderr


def test_no_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    java = by_name(examine(TaggingConfig()))["Java"]
    assert java.state == "wrong" and "JAVA_HOME" in java.advice


def test_an_old_java(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "java"
    fake.write_text('#!/bin/sh\necho \'openjdk version "11.0.2" 2019\' >&2\n')
    fake.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    java = by_name(examine(TaggingConfig()))["Java"]
    assert java.state == "wrong" and "17" in java.advice


def test_a_broken_bundle_and_a_missing_engine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    find = importlib.util.find_spec

    def missing(name: str, *more: Any) -> Any:
        return None if name == "onnxruntime" else find(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", missing)
    config = TaggingConfig(bundle=f"{tmp_path}/", device={"engine": "onnxruntime"})  # type: ignore[arg-type]
    found = by_name(examine(config))
    assert found["Bundle"].state == "wrong" and str(tmp_path) in found["Bundle"].advice
    assert found["Engine"].state == "wrong" and "pip install" in found["Engine"].advice


@pytest.mark.parametrize(
    ("build", "driver", "seen", "advice"),
    [(None, "570.1", False, "install a build for CUDA"), ("13.0", "470.1", False, "too old"),
     ("13.0", None, False, ""), ("13.0", "580.1", True, "")],
)  # fmt: skip
def test_what_is_said_of_a_gpu(
    monkeypatch: pytest.MonkeyPatch, build: str | None, driver: str | None, seen: bool, advice: str
) -> None:
    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: seen)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    card = SimpleNamespace(name="a card", total_memory=24_000_000_000)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(doctor, "_driver", lambda: driver)
    found = by_name(examine(TaggingConfig()))
    assert str(build or "CPUs") in found["CUDA"].found and (driver or "none") in found["CUDA"].found
    assert advice in found["CUDA"].advice and bool(found["CUDA"].advice) == bool(advice)
    if seen:
        assert found["GPU 0"].found == "a card, 24 GB"
    pixels = "6,500,000" if seen else "420,000"
    assert pixels in found["Each task"].found


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_free_bytes", lambda: 4_000_000_000)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    machine = by_name(examine(TaggingConfig()))["Machine"]
    assert machine.state == "note" and "local[1,4]" in machine.advice

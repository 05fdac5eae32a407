"""What a job would find on this machine, and what it would do with it; loads no model."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Literal

from jeans_udf.bundle import open_bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.devices import BATCHES, CUDA_BYTES, drives_gpu, task_device
from jeans_udf.engines.registry import PREFERRED, check_engine
from jeans_udf.errors import UsageError

State = Literal["fine", "note", "wrong"]

PACKAGES = (
    "jeans-udf", "pyspark", "delta-spark", "pandas", "pyarrow", "torch", "torchvision", "fastai",
    "timm", "openvino", "onnxruntime", "transformers",
)  # fmt: skip
DETECTRON2 = ("detectron2", "pb1-detectron2")
"""The official name, and the package that `scripts/build_detectron2.py` builds from."""
LEAST_JAVA = 17
TASK_BYTES = 3_500_000_000
"""Memory that a task wants: the models' process, Spark's Python worker, its share of the JVM."""


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what is there, and what to do about it."""

    about: str
    found: str
    state: State = "fine"
    advice: str = ""


def examine(config: TaggingConfig) -> list[Finding]:
    """All findings, in the order in which a job would stumble over them."""
    looks: tuple[Callable[[], list[Finding]], ...] = (
        _python, _java, _jars, _packages, _detectron2,
        lambda: _gpu(config), lambda: _memory(config), lambda: _engine(config),
        lambda: _bundle(config), lambda: _pass(config),
    )  # fmt: skip
    return [finding for look in looks for finding in look()]


def _python() -> list[Finding]:
    found = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return [Finding("Python", f"{found} ({sys.executable})")]
    return [Finding("Python", found, "wrong", "the jobs are tested on 3.11 and 3.12")]


def _java() -> list[Finding]:
    home = os.environ.get("JAVA_HOME")
    command = f"{home}/bin/java" if home else shutil.which("java")
    told = ""
    if command:
        try:
            done = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30)
            told = done.stderr
        except (OSError, subprocess.SubprocessError):
            pass
    version = re.search(r'version "(\d+)[^"]*"', told)
    if version is None:
        advice = f"Spark needs Java {LEAST_JAVA}: install it, or point JAVA_HOME at one"
        return [Finding("Java", "none runs", "wrong", advice)]
    if int(version[1]) < LEAST_JAVA:
        return [Finding("Java", version[0], "wrong", f"Spark 4 needs {LEAST_JAVA} or newer")]
    return [Finding("Java", f"{version[0]} ({command})")]


def _jars() -> list[Finding]:
    from jeans_udf.session import DEFAULT_JAR_FOLDER, delta_jars

    jars = delta_jars()
    if jars:
        return [Finding("Delta's jars", f"{len(jars)} files in {DEFAULT_JAR_FOLDER}")]
    advice = "a session fetches them over the network; make setup keeps them, or set spark.jars"
    return [Finding("Delta's jars", "not here", "note", advice)]


def _packages() -> list[Finding]:
    findings = []
    for name in PACKAGES:
        try:
            findings.append(Finding(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            optional = name in PREFERRED
            state: State = "note" if optional else "wrong"
            advice = "an engine for CPUs; see device.engine" if optional else f"pip install {name}"
            findings.append(Finding(name, "not installed", state, advice))
    return findings


def _detectron2() -> list[Finding]:
    for name in DETECTRON2:
        try:
            return [Finding("detectron2", f"{metadata.version(name)} ({name})")]
        except metadata.PackageNotFoundError:
            continue
    if importlib.util.find_spec("detectron2") is not None:
        return [Finding("detectron2", "a source tree without a version")]
    advice = "python scripts/build_detectron2.py, or install the official package"
    return [Finding("detectron2", "not installed", "wrong", advice)]


def _gpu(config: TaggingConfig) -> list[Finding]:
    try:
        import torch
    except ImportError:
        return []
    driver = _driver()
    build = f"torch for {torch.version.cuda and f'CUDA {torch.version.cuda}' or 'CPUs'}"
    cuda = Finding("CUDA", f"{build}, driver {driver or 'none'}")
    if not torch.cuda.is_available():
        if driver and torch.version.cuda is None:
            advice = "a GPU is here, and this torch cannot use it: install a build for CUDA"
            cuda = replace(cuda, state="note", advice=advice)
        elif driver:
            advice = "the driver may be too old for this CUDA, or CUDA_VISIBLE_DEVICES hides all"
            cuda = replace(cuda, state="note", advice=advice)
        device = config.device
        for key, value in (("kind", "cuda"), ("precision", "fp16")):
            if getattr(device, key) == value:
                advice = f"device.{key}={value} wants one here: right for a driver alone"
                return [cuda, Finding("GPU", "torch sees none", "wrong", advice)]
        return [cuda, Finding("GPU", "torch sees none", "note", "the models run on the CPU")]
    findings = [cuda]
    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        memory = properties.total_memory / 1e9
        findings.append(Finding(f"GPU {number}", f"{properties.name}, {memory:.0f} GB"))
    return findings


def _driver() -> str | None:
    """Version of NVIDIA's driver, if there is one."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.partition("\n")[0].strip() or None


def _pass(config: TaggingConfig) -> list[Finding]:
    """What a task of the pass over the pixels would do here."""
    try:
        device = task_device(config.device.kind, None)
    except (ImportError, RuntimeError):
        return []  # said of torch, and under GPU
    pixels, crops = BATCHES[device.partition(":")[0]]
    found = (
        f"on {device}, {config.device.threads or 'as many'} threads"
        f"{'' if config.device.threads else ' as Spark gives a task cores'}, "
        f"{config.device.batch_pixels or pixels:,} pixels and "
        f"{config.device.crops_per_batch or crops} garments at once"
    )
    asked = {k: v for k, v in config.stage.model_dump().items() if v}
    if asked:
        told = ", ".join(f"{key}={value}" for key, value in asked.items())
        found += f"; in a stage with {told}"
    return [Finding("Each task", found)]


def _memory(config: TaggingConfig) -> list[Finding]:
    # Those that this process may use: a container's, where the system tells.
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    there = _free_bytes()
    found = f"{cores} cores" + (f", {there / 1e9:.0f} GB free" if there else "")
    task = TASK_BYTES + (CUDA_BYTES if drives_gpu(config.device.kind, None) else 0)
    wanted = cores * task
    if there and there < wanted:
        advice = (
            f"a task on every core wants {wanted / 1e9:.0f} GB; use fewer, as --master "
            f"'local[{max(1, int(there // task))},4]' of spark-submit"
        )
        return [Finding("Machine", found, "note", advice)]
    return [Finding("Machine", found)]


def _free_bytes() -> int | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    match = re.search(r"MemAvailable:\s+(\d+) kB", text)
    free = int(match[1]) * 1024 if match else None
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            most = Path(limit).read_text(encoding="ascii").strip()
        except OSError:
            continue
        # A container may be given less than the machine has.
        if most.isdigit() and free is not None:
            free = min(free, int(most))
    return free


def _engine(config: TaggingConfig) -> list[Finding]:
    device = config.device
    try:
        check_engine(device.engine, device.precision)
    except UsageError as error:
        return [Finding("Engine", device.engine, "wrong", str(error))]
    chosen: str = device.engine
    if chosen == "auto":
        there = [name for name in PREFERRED if importlib.util.find_spec(name) is not None]
        chosen = f"auto: {(there or ['torch'])[0]} on a CPU, torch on a GPU"
    return [Finding("Engine", f"{chosen}, {device.precision}")]


def _bundle(config: TaggingConfig) -> list[Finding]:
    try:
        bundle = open_bundle(config.bundle)
    except UsageError as error:
        return [Finding("Bundle", config.bundle, "wrong", str(error))]
    size = sum(file.stat().st_size for file in bundle.directory.iterdir() if file.is_file())
    found = f"{bundle.model_version}, {size / 1e6:.0f} MB, every digest right ({bundle.directory})"
    return [Finding("Bundle", found)]

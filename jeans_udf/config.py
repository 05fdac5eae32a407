"""The tagging job's configuration: defaults < file < ``--set key=value``.

Sections are frozen; an unknown key is an error that names the nearest known one. A class of the
library never receives the whole configuration, only the section or the values it needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jeans_udf.errors import ConfigError, near_miss


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


S = TypeVar("S", bound=Section)


class ImageLimits(Section):
    """What is accepted as an image before anything is decoded."""

    max_bytes: int = Field(50_000_000, gt=0)
    """Largest file, in bytes; above it the image is rejected as `too_many_bytes`."""
    max_pixels: int = Field(50_000_000, gt=0, le=178_000_000)
    """Largest declared width x height, in pixels; above it: `too_many_pixels`, never decoded."""
    min_side: int = Field(16, gt=0)
    """Shortest accepted side, in pixels; below it: `too_small`."""
    formats: tuple[Literal["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"], ...] = (
        "JPEG",
        "PNG",
        "WEBP",
    )
    """Formats that are opened, by Pillow's names; any other is `unsupported_format`."""
    roots: tuple[str, ...] = ()
    """Folders that a `path` in the source may point into, links resolved; empty: none is read."""


class Batches(Section):
    """How much of the source one commit covers; memory and lost work after a crash follow it."""

    max_files: int = Field(64, gt=0)
    """Most files of the source table in one batch (Delta's `maxFilesPerTrigger`)."""
    max_bytes: str = Field("1g", pattern=r"^\d+[bkmg]$")
    """About the most bytes of source files in one batch (Delta's `maxBytesPerTrigger`)."""
    bytes_per_task: str = Field("16m", pattern=r"^\d+[bkmg]$")
    """About the most bytes of source files that one Spark task reads: its images lie there."""
    images_per_task: int = Field(256, gt=0)
    """Images in one Spark task where they are dealt out by key, as those given as paths are."""


class Device(Section):
    """Where the models run."""

    kind: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes the GPU that Spark gave the task, else a visible one, else the CPU."""
    batch_pixels: int = Field(0, ge=0)
    """Most pixels of the detector's canvases in one device batch; 0: as suits the device."""
    crops_per_batch: int = Field(0, ge=0)
    """Most garment crops in one classifier batch; 0: as suits the device."""
    threads: int = Field(0, ge=0)
    """CPU threads of the models a task; 0: as many as Spark gives it (spark.task.cpus)."""
    engine: Literal["auto", "openvino", "onnxruntime", "torch"] = "auto"
    """What runs the convolutions; `auto`: torch on a GPU, else OpenVINO if it is installed."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Numbers that the convolutions compute with; fp16 is for GPUs, ONNX Runtime has fp32 alone."""


class Stage(Section):
    """What Spark gives the pass over the pixels alone; all 0 or empty: what every stage gets."""

    task_gpus: float = Field(0.0, ge=0)
    """GPUs a task, as 0.125 where eight tasks share one."""
    task_cpus: int = Field(0, ge=0)
    """CPU cores a task; 0: spark.task.cpus."""
    executor_gpus: int = Field(0, ge=0)
    """GPUs of each executor that is started for the pass; 0: the application's executors run it."""
    executor_cores: int = Field(0, ge=0)
    """Its CPU cores."""
    executor_memory: str = Field("", pattern=r"^(\d+[kmgt])?$")
    """Its heap, as `8g`."""
    executor_overhead: str = Field("", pattern=r"^(\d+[kmgt])?$")
    """Its memory beside the heap, where the models are, as `32g`."""
    discovery_script: str = ""
    """Prints the executor's GPUs; needed where the platform does not tell (YARN, standalone)."""

    @property
    def asks(self) -> bool:
        """Whether anything is asked for."""
        return self != Stage()

    @property
    def asks_executors(self) -> bool:
        """Whether executors of their own are."""
        return bool(self.executor_cores)

    @model_validator(mode="after")
    def _whole(self) -> Stage:
        of_executors = (
            self.executor_gpus, self.executor_memory, self.executor_overhead, self.discovery_script
        )  # fmt: skip
        if any(of_executors) and not (self.executor_cores and self.executor_memory):
            raise ValueError("an executor is asked for by executor_cores and executor_memory both")
        if self.executor_cores and not self.executor_memory:
            raise ValueError("executor_cores is given, executor_memory is not")
        if self.executor_gpus and not self.task_gpus:
            raise ValueError("executor_gpus is given, but no task takes any: set task_gpus")
        if self.task_gpus > 1 and not self.task_gpus.is_integer():
            raise ValueError("task_gpus: wanted a part of one GPU, or whole ones")
        if self.executor_gpus and self.task_gpus > self.executor_gpus:
            raise ValueError("task_gpus is more than an executor has: executor_gpus")
        if self.executor_cores and self.task_cpus > self.executor_cores:
            raise ValueError("task_cpus is more than an executor has: executor_cores")
        return self


class Decoding(Section):
    """Decoding runs on threads ahead of the device."""

    threads: int = Field(2, gt=0)
    """Decoding threads a task."""
    ahead_bytes: int = Field(128_000_000, gt=0)
    """Most bytes of encoded and decoded images waiting in a task."""
    longest_side: int = Field(1024, ge=0)
    """Pictures are decoded at 1/2, 1/4 or 1/8 where that leaves the longer side so many pixels."""


class Isolation(Section):
    """The models run in a process of their own: what an image may cost before it is given up."""

    max_seconds_per_image: float = Field(60.0, gt=0, le=150)
    """Silence, in seconds, after which the process is killed and its image `timed_out`."""
    max_memory_bytes: int = Field(2_500_000_000, ge=500_000_000)
    """Memory of the process, in bytes; the image that takes it further is `worker_crashed`."""
    max_seconds_to_load: float = Field(300.0, gt=0, le=550)
    """Longest time, in seconds, for loading the models; beyond it the task fails."""


class Drift(Section):
    """How far a run's labels may lie from the last run's before somebody should look."""

    max_index: float = Field(0.25, gt=0)
    """Largest population stability index of a group; above it the run ends with exit code 3."""
    min_garments: int = Field(200, gt=0)
    """Garments (for `status`: images) that both runs must have for an index to mean anything."""


class Detection(Section):
    """Overrides of what the bundle's manifest says."""

    score_threshold: float | None = Field(None, ge=0, le=1)
    """Least score of a garment; null: the bundle's own, fitted on validation photos."""
    max_garments: int = Field(10, gt=0)
    """Most garments kept of one image, best score first."""


class TaggingConfig(Section):
    """Everything `jobs/tag_catalog.py` can be told; see conf/tagging.yaml."""

    bundle: str = "default"
    """A bundle's directory, or the name of one that comes with the package."""
    max_rejected_fraction: float = Field(0.2, ge=0, le=1)
    """Error budget: above this share of rejected images the run ends with exit code 3."""
    images: ImageLimits = ImageLimits()
    batch: Batches = Batches()
    device: Device = Device()
    stage: Stage = Stage()
    decoding: Decoding = Decoding()
    isolation: Isolation = Isolation()
    detection: Detection = Detection()
    drift: Drift = Drift()

    def digest(self) -> str:
        """Hex sha256 of the resolved configuration."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_config(file: str | Path | None = None, overrides: Sequence[str] = ()) -> TaggingConfig:
    """The tagging job's configuration, as `load_section` reads it."""
    return load_section(TaggingConfig, file, overrides)


def load_section(
    section: type[S], file: str | Path | None = None, overrides: Sequence[str] = ()
) -> S:
    """Read ``file`` (YAML), apply ``overrides`` (``a.b=value``), check everything.

    Raises `ConfigError` for a missing file, bad YAML, an unknown key or a value out of range.
    """
    values = _read_yaml(Path(file)) if file is not None else {}
    for text in overrides:
        _apply(values, text)
    where = str(file) if file is not None else "defaults"
    if overrides:
        where += " with --set " + " --set ".join(overrides)
    return parse_section(section, values, where)


def parse_section(section: type[S], values: Mapping[str, Any], where: str) -> S:
    """Validate ``values`` as ``section``; errors name the key, what was got and what is known."""
    try:
        return section.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(section, error, where)) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"config {path}: cannot be read ({error.strerror}); give an existing YAML file"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"config {path}: not UTF-8 text; wanted a YAML file") from None
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"config {path}: not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"config {path}: got a {type(values).__name__}, wanted key: value pairs")
    return values


def _apply(values: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text!r}: wanted key=value, for example batch.max_files=16")
    *sections, last = key.split(".")
    for name in sections:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {text!r}: {name!r} is a value, not a section")
    try:
        values[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        values[last] = value


def _explain(section: type[Section], error: ValidationError, where: str) -> str:
    lines = []
    for problem in error.errors():
        path = [str(part) for part in problem["loc"]]
        key = ".".join(path)
        if problem["type"] == "extra_forbidden":
            lines.append(f"unknown key {key!r}; {near_miss(path[-1], _keys(section, path[:-1]))}")
        else:
            got = json.dumps(problem["input"], default=str)[:80]
            lines.append(f"{key}: got {got}, wanted: {problem['msg']}")
    return f"config {where}: " + "; ".join(lines)


def _keys(section: type[Section], path: Sequence[str]) -> list[str]:
    fields = section.model_fields
    for name in path:
        annotation = fields[name].annotation if name in fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, Section)):
            return []
        fields = annotation.model_fields
    return list(fields)

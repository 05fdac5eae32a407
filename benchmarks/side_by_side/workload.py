"""What every row works on: the same photos, bundle, configuration and cores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jeans_udf.bundle import Bundle, open_bundle
from jeans_udf.config import ImageLimits, TaggingConfig, load_config
from jeans_udf.errors import ConfigError, Rejected
from jeans_udf.images import decode_image

REPOSITORY = Path(__file__).resolve().parents[2]
FILES_A_CORE = 4
"""Parquet files for each core, so that no framework is left with one."""
WARM_PHOTOS_A_CORE = 8
"""Photos that each worker's models see before the clock starts."""


@dataclass(frozen=True)
class Split:
    """How the cores are used: processes, each with so many threads."""

    processes: int
    threads: int

    def __str__(self) -> str:
        return f"{self.processes} x {self.threads}"


@dataclass(frozen=True)
class Workload:
    """The photos of a run and how they are to be tagged. Written to a file for each row's process.

    In ``folder``: photos/ and warm/ (the files), photos.parquet/ and warm.parquet/ (``image_id``,
    ``image``), and for the job photos.delta/ and warm.delta/ (its product_images).
    """

    folder: str
    bundle: str
    settings: tuple[str, ...]
    """``key=value`` of the tagging configuration."""
    split: Split
    batch_size: int = 0
    """Images that a framework hands over at once; 0: the row's own choice."""
    limit: int = 0
    """Photos that a loop takes, spread over all; 0: all of them."""

    def path(self, name: str) -> Path:
        return Path(self.folder, name)

    @property
    def cores(self) -> int:
        return self.split.processes * self.split.threads

    def files(self, name: str = "photos") -> list[str]:
        """The photos' paths, sorted."""
        files = sorted(str(file) for file in self.path(name).iterdir())
        return spread(files, self.limit) if self.limit and name == "photos" else files

    def batch(self, most: int) -> int:
        """Images a framework's worker gets at once: as asked for, or ``most``.

        Fewer where a worker would get less than two batches: it would have nothing to do, and Daft
        would not even start it.
        """
        share = -(-len(self.files()) // (2 * self.split.processes))
        return self.batch_size or max(1, min(most, share))

    def open_bundle(self) -> Bundle:
        return open_bundle(self.bundle)

    def config(self) -> TaggingConfig:
        """The job's configuration, for a process with ``split.threads`` threads."""
        overrides = [f"bundle={self.bundle}", f"device.threads={self.split.threads}"]
        return load_config(overrides=[*overrides, *self.settings])

    def fresh(self, name: str) -> Path:
        """An absent folder for a row's output."""
        folder = self.path("tags") / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(exist_ok=True)
        return folder

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")


def read_workload(file: Path) -> Workload:
    values = json.loads(file.read_text(encoding="utf-8"))
    values |= {"split": Split(**values["split"]), "settings": tuple(values["settings"])}
    return Workload(**values)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(items: Sequence[str], count: int) -> list[str]:
    """``count`` of ``items``, evenly spread; all where there are no more."""
    if count >= len(items):
        return list(items)
    return [items[i * len(items) // count] for i in range(count)]


def prepare(work: Workload, images: Path | None, limit: int, *, delta: bool) -> tuple[int, int]:
    """Lay out ``work.folder``; (photos taken, files left out because they cannot be read).

    Without ``images`` the drawn catalog of jobs/draw_catalog.py is taken. Files that the job
    would reject are left out, so that no row gains by how it treats them. The job's tables are
    written only when ``delta`` says so.
    """
    folder = Path(work.folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if images is None:
        images = folder / "drawn"
        # About one in seven is broken on purpose.
        count = max(72, limit + limit // 4)
        _run_job("draw_catalog.py", "--output", str(images), "--count", str(count))
    found = sorted(file for file in images.rglob("*") if file.is_file())
    limits = work.config().images
    taken: list[str] = []
    left_out = 0
    first = spread([str(file) for file in found], limit)
    # The others stand by for those that cannot be read.
    for file in first + sorted({str(file) for file in found} - set(first)):
        if len(taken) == limit:
            break
        if _is_photo(Path(file), limits):
            taken.append(file)
        else:
            left_out += 1
    if not taken:
        raise ConfigError(f"--images {images}: {len(found)} files, none of them a readable photo")
    _lay_out(work, "photos", taken)
    _lay_out(work, "warm", spread(taken, WARM_PHOTOS_A_CORE * work.cores))
    if delta:
        for name in ("photos", "warm"):
            _run_job("ingest_images.py", "--images", str(work.path(name)),
                     "--table", f"{work.path(name)}.delta/")  # fmt: skip
    return len(taken), left_out


def _is_photo(file: Path, limits: ImageLimits) -> bool:
    try:
        decode_image(file.read_bytes(), limits)
        return True
    except Rejected:
        return False


def _lay_out(work: Workload, name: str, files: Sequence[str]) -> None:
    folder, table = work.path(name), work.path(f"{name}.parquet")
    folder.mkdir()
    table.mkdir()
    ids = []
    for number, file in enumerate(files):
        # Names may repeat in different folders.
        ids.append(f"{number:06}-{Path(file).name}")
        shutil.copyfile(file, folder / ids[-1])
    parts = min(len(ids), FILES_A_CORE * work.cores)
    for part in range(parts):
        # Alternating, so that the files' parts take about the same time.
        own = ids[part::parts]
        columns = {"image_id": own, "image": [(folder / name).read_bytes() for name in own]}
        pq.write_table(pa.table(columns), table / f"part-{part:04}.parquet", compression="none")


def _run_job(script: str, *arguments: str) -> None:
    command = [sys.executable, str(REPOSITORY / "jobs" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"{script} failed:\n{done.stderr[-2000:]}")

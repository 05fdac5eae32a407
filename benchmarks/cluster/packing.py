"""What the executors get: an environment with what the pass over the pixels imports, and no more.

A packed environment (venv-pack2) with our wheel in it, and a model bundle beside it. Spark itself,
with pyspark, is the cluster's.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from benchmarks.cluster.standalone import SPARK_HOME
from benchmarks.side_by_side.workload import REPOSITORY
from jeans_udf.bundle import open_bundle

PACKER = "venv-pack2==0.9.2"
LEFT_OUT = ("pyspark", "py4j", "delta-spark", "triton", "jeans-udf", "pip", "pytest")
"""Spark's own come with the cluster; triton compiles for GPUs; ours comes as a wheel."""
CUDA = "nvidia-"
NOT_RUN = ("tests", "test", "include", "__pycache__")
NOT_READ = (".pyi", ".a", ".pyc", ".h", ".hpp", ".cuh")

LOOK = """
import json, sys
import numpy as np, pandas, pyarrow
import jeans_udf.isolation.child, jeans_udf.udf, jeans_udf.progress
from jeans_udf.bundle import open_bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.isolation.models import open_tagger
from jeans_udf.source_image import SourceImage
from jeans_udf.png import encode_png_rgba
bundle = open_bundle("default")
tag = open_tagger((f"{bundle.directory}/",), bundle.manifest_sha256, TaggingConfig(), 1, None)
picture = encode_png_rgba(np.full((640, 480, 4), 255, np.uint8))
rows = list(tag(iter([SourceImage("a", None, picture, None)])))
assert rows[0]["status"] == "no_garment", rows
libraries = {line.split()[-1] for line in open("/proc/self/maps") if ".so" in line}
print(json.dumps([sorted({name.partition(".")[0] for name in sys.modules}), sorted(libraries)]))
"""
"""Tags a picture in a process of its own; tells what that has imported, and loaded of libraries."""


@dataclass(frozen=True)
class Packed:
    """Files for ``--archives``, and what they weigh."""

    environment: Path
    bundle: Path
    sizes: dict[str, float]
    """Megabytes: installed, copied, without what is not run, packed, and the largest packages."""


def pack(folder: Path) -> Packed:
    """Build both archives below ``folder``, unless those that are there are of the same files."""
    folder.mkdir(parents=True, exist_ok=True)
    environment, bundle, told = (
        folder / name for name in ("environment.tar.gz", "bundle.tar.gz", "packed.json")
    )
    digest = _digest()
    if told.is_file() and environment.is_file() and bundle.is_file():
        known = json.loads(told.read_text(encoding="utf-8"))
        if known["digest"] == digest:
            return Packed(environment, bundle, known["sizes"])
    names, libraries = needed()
    prefix = folder / "environment"
    shutil.rmtree(prefix, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True)
    (site,) = prefix.glob("lib/python3*/site-packages")
    weights = {name: copy(name, site, libraries) for name in names}
    _install_ours(site)
    # By itself, before two executors find out.
    _look(prefix / "bin" / "python", sorted((SPARK_HOME / "python" / "lib").glob("*.zip")))
    _pack_environment(folder, prefix, environment)
    with tarfile.open(bundle, "w:gz", compresslevel=1) as archive:
        archive.add(open_bundle("default").directory, arcname=".")
    sizes = {
        "installed in .venv": _installed(),
        f"what the pass imports ({len(names)} packages)": sum(w[0] for w in weights.values()),
        "without tests, headers and what CUDA has unloaded": sum(w[1] for w in weights.values()),
        "packed": environment.stat().st_size / 1e6,
        "the bundle, packed": bundle.stat().st_size / 1e6,
    }
    largest = sorted(weights, key=lambda name: -weights[name][1])[:8]
    sizes |= {f"of it {name}": weights[name][1] for name in largest}
    told.write_text(json.dumps({"digest": digest, "sizes": sizes}), encoding="utf-8")
    return Packed(environment, bundle, sizes)


def needed() -> tuple[list[str], set[str]]:
    """Distributions that a task imports, and the libraries' files that it loads.

    A torch that was built for CUDA loads libraries of CUDA's packages on a CPU, too.
    """
    modules, libraries = _look(Path(sys.executable), [REPOSITORY])
    owners = metadata.packages_distributions()
    found = {name for module in modules for name in owners.get(module, [])}
    found |= {d.metadata["Name"] for d in metadata.distributions()
              if d.metadata["Name"].startswith(CUDA)}  # fmt: skip
    names = sorted(name for name in found if name.lower().replace("_", "-") not in LEFT_OUT)
    return names, {os.path.realpath(file) for file in libraries}


def _look(python: Path, path: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Modules and libraries of the pass as ``python`` runs it, with ``path`` before its own."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run([str(python), "-c", LOOK], capture_output=True, text=True, env=env,
                          check=False)  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{python} cannot run the pass:\n{done.stderr[-2000:]}")
    modules, libraries = json.loads(done.stdout.splitlines()[-1])
    return modules, libraries


def copy(name: str, site: Path, libraries: set[str]) -> tuple[float, float]:
    """Copy a distribution's files; its megabytes before and after leaving out what is not run.

    Of CUDA's packages only those of ``libraries``: the executors of this trial have no GPU.
    """
    whole = kept = 0
    for file in metadata.distribution(name).files or []:
        source = Path(str(file.locate()))
        if not source.is_file() or file.parts[0] == "..":
            continue
        size = source.stat().st_size
        whole += size
        unloaded = name.startswith(CUDA) and os.path.realpath(source) not in libraries
        if unloaded or is_left_out(file.parts, source.suffix):
            continue
        kept += size
        place = site / file
        place.parent.mkdir(parents=True, exist_ok=True)
        # Linked where that can be: 3 GB need not be written twice.
        try:
            os.link(source, place)
        except OSError:
            shutil.copyfile(source, place)
    return whole / 1e6, kept / 1e6


def is_left_out(parts: Iterable[str], suffix: str) -> bool:
    """Whether a file of a package is of no use to an executor."""
    inside = "/".join(parts)
    return suffix in NOT_READ or any(f"/{folder}/" in inside for folder in NOT_RUN)


def _install_ours(site: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
           "--no-deps", "--no-build-isolation"]  # fmt: skip
    subprocess.run([*pip, "--target", str(site), str(REPOSITORY)], check=True)


def _pack_environment(folder: Path, prefix: Path, output: Path) -> None:
    tools = folder / "tools"
    if not tools.is_dir():
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--target", str(tools), PACKER], check=True,
        )  # fmt: skip
    output.unlink(missing_ok=True)
    # Level 1: libraries hardly get smaller beyond it, and this is for one machine's trial.
    subprocess.run(
        [sys.executable, "-m", "venv_pack", "--prefix", str(prefix), "--output", str(output),
         "--compress-level", "1", "--quiet"],
        env=os.environ | {"PYTHONPATH": str(tools)}, check=True,
    )  # fmt: skip


def _installed() -> float:
    folder = Path(str(metadata.distribution("pyspark").locate_file("")))
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6


def _digest() -> str:
    found = hashlib.sha256()
    folders = ("jeans_udf", "jobs", "conf")
    files = [file for name in folders for file in sorted((REPOSITORY / name).rglob("*"))]
    files += [REPOSITORY / name for name in ("requirements.lock", "setup.py", "MANIFEST.in")]
    files.append(Path(__file__))
    for file in files:
        if file.is_file() and "__pycache__" not in file.parts:
            found.update(str(file).encode() + file.read_bytes())
    return found.hexdigest()

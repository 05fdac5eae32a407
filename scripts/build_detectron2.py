"""Build and install Detectron2 v0.6 as a pure-Python wheel, mended for today's libraries.

Detectron2 has no official package. `pb1-detectron2` holds the Python files of the tag v0.6 as they
are, without the C++ sources. Only rotated boxes, deformable convolutions on a GPU and the fast COCO
evaluation need those; each says so when it is used. A Detectron2 installed from its official
repository, with its compiled extension, is left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

REPOSITORY_ROOT = Path(__file__).resolve().parents[1]
SOURCE = "pb1-detectron2==0.6"
SHA256 = "5d2e9e51e523ec72f6a31cca04b0a515492e9514b773a3d134cedc0677170b29"
# The local part keeps `pip show` honest. Count it up (pure.2) with the mends, or old wheels stay.
VERSION = "0.6+pure"


class BuildError(Exception):
    """Says what failed, where, what was wanted, and what to do next."""


class Mend(NamedTuple):
    file: str  # inside the unpacked source
    old: str  # every occurrence is replaced
    new: str


def _optional(statement: str, name: str, stand_in: str) -> tuple[str, str]:
    """The old and new text that let an import fail until what it brings is used."""
    fallback = f"    from detectron2.utils.missing import {stand_in} as {name}"
    return f"\n{statement}\n", f"\ntry:\n    {statement}\nexcept ImportError:\n{fallback}\n"


EXTENSION = _optional("from detectron2 import _C", "_C", "EXTENSION")
OPENCV = _optional("import cv2", "cv2", "OPENCV")

# `np.bool` stays: NumPy 2 has it again.
MENDS = (
    # NumPy 1.24 dropped these aliases of Python's own types.
    Mend("detectron2/data/build.py", "dtype=np.int\n", "dtype=int\n"),
    Mend("detectron2/data/build.py", "dtype=np.int)", "dtype=int)"),
    Mend("detectron2/data/datasets/pascal_voc.py", "dtype=np.str)", "dtype=str)"),
    Mend("detectron2/evaluation/sem_seg_evaluation.py", "dtype=np.int)", "dtype=int)"),
    Mend("detectron2/evaluation/sem_seg_evaluation.py", "dtype=np.float)", "dtype=float)"),
    Mend("detectron2/evaluation/sem_seg_evaluation.py", "astype(np.float)", "astype(float)"),
    # NumPy 2 takes copy=False as "never copy", and this one has to.
    Mend("detectron2/layers/mask_ops.py", "np.array(mask, copy=False)", "np.asarray(mask)"),
    # Pillow 10 dropped the old name.
    Mend("detectron2/data/transforms/transform.py", "Image.LINEAR", "Image.BILINEAR"),
    # setuptools 82 dropped pkg_resources.
    Mend("detectron2/model_zoo/model_zoo.py", "import pkg_resources", "import importlib.resources"),
    Mend(
        "detectron2/model_zoo/model_zoo.py",
        'pkg_resources.resource_filename(\n        "detectron2.model_zoo", '
        'os.path.join("configs", config_path)\n    )',
        'str(\n        importlib.resources.files("detectron2.model_zoo")'
        '.joinpath("configs", config_path)\n    )',
    ),
    # torch warns in every process that the default order of meshgrid will change.
    Mend(
        "detectron2/modeling/anchor_generator.py",
        "torch.meshgrid(shifts_y, shifts_x)",
        'torch.meshgrid(shifts_y, shifts_x, indexing="ij")',
    ),
    # torch comes without Caffe2 today; only one kind of export needs it.
    Mend(
        "detectron2/export/__init__.py",
        "\nfrom .api import *\n",
        "\ntry:\n    from .api import *\nexcept ImportError:  # no Caffe2\n    pass\n",
    ),
    # There is no compiled extension here, and OpenCV is a large package for drawing alone.
    Mend("detectron2/layers/deform_conv.py", *EXTENSION),
    Mend("detectron2/layers/rotated_boxes.py", *EXTENSION),
    Mend("detectron2/layers/roi_align_rotated.py", *EXTENSION),
    Mend("detectron2/evaluation/fast_eval_api.py", *EXTENSION),
    Mend(
        "detectron2/layers/nms.py",
        "    return torch.ops.detectron2.nms_rotated(",
        '    if not hasattr(torch.ops.detectron2, "nms_rotated"):\n'
        "        from detectron2.utils.missing import EXTENSION\n\n"
        "        EXTENSION.nms_rotated\n"
        "    return torch.ops.detectron2.nms_rotated(",
    ),
    Mend("detectron2/utils/visualizer.py", *OPENCV),
    Mend("projects/PointRend/point_rend/color_augmentation.py", *OPENCV),
)

# Detectron2's licence asks that a changed file says so.
NOTICE = "\n# Changed after the tag v0.6 by scripts/build_detectron2.py of jeans-udf.\n"

MISSING = '''"""Stand-ins for modules that are not installed; added by jeans-udf, not in v0.6."""


class Missing:
    def __init__(self, module, message):
        self._module = module
        self._message = message

    def __getattr__(self, name):
        if name.startswith("__"):  # copy, pickle and inspect ask for these of any object
            raise AttributeError(name)
        raise ImportError(f"{self._module}.{name} {self._message}")


EXTENSION = Missing(
    "detectron2._C",
    "needs Detectron2's compiled extension: install Detectron2 from its official repository",
)
OPENCV = Missing("cv2", "needs OpenCV: pip install opencv-python-headless")
'''

PYPROJECT = f"""[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "detectron2"
version = "{VERSION}"
description = "Detectron2 v0.6 without its compiled extension, mended for NumPy 2 and Pillow 10"
requires-python = ">=3.11"
license = "Apache-2.0"
license-files = ["LICENSE"]
dependencies = [
    "cloudpickle", "fvcore>=0.1.5,<0.1.6", "iopath>=0.1.7", "matplotlib", "numpy>=2",
    "omegaconf>=2.1", "Pillow>=10", "pycocotools>=2.0.2", "PyYAML", "tabulate", "termcolor>=1.1",
    "torch>=2", "torchvision", "tqdm", "yacs>=0.1.8",
]
optional-dependencies.all = ["hydra-core>=1.1", "opencv-python-headless", "tensorboard"]

[tool.setuptools.packages.find]
include = ["detectron2", "detectron2.*"]
namespaces = false

[tool.setuptools.package-data]
"detectron2.model_zoo" = ["configs/**/*.yaml", "configs/**/*.py"]
"""

CHECK = """
import detectron2.checkpoint, detectron2.data, detectron2.engine, detectron2.evaluation
import detectron2.layers, detectron2.modeling, detectron2.structures, detectron2.utils.visualizer
from detectron2 import model_zoo
model_zoo.get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml")
print("Detectron2", detectron2.__version__, "works from", detectron2.__path__[0])
"""


def installed() -> str | None:
    """The Detectron2 that is here and may stay, in words; None where the wheel has to come."""
    spec = find_spec("detectron2")
    if spec is None:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    try:
        version = metadata.version("detectron2")
    except metadata.PackageNotFoundError:
        version = "of no known version"
    if version == VERSION:
        return f"Detectron2 {version}, the wheel of this script"
    if any(path.suffix in {".so", ".pyd"} for folder in folders for path in folder.glob("_C*")):
        return f"Detectron2 {version} with its compiled extension"
    return None  # an older wheel of ours, or a copy that nobody can vouch for


def python(*arguments: str | Path, doing: str) -> str:
    """Run this interpreter; pip's own last lines tell more than its exit status."""
    # -P: a folder named detectron2 where the script was started must not be taken for the package.
    command = [sys.executable, "-P", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        tail = "\n    ".join(done.stdout.strip().splitlines()[-12:])
        raise BuildError(f"{doing} failed with exit status {done.returncode}:\n    {tail}")
    return done.stdout.strip()


def pip(*arguments: str | Path, doing: str) -> None:
    python("-m", "pip", *arguments, "--quiet", "--disable-pip-version-check", doing=doing)


def download(folder: Path) -> Path:
    """The source archive. pip checks the sum first: downloading already runs its setup.py."""
    wanted = folder / "source.txt"
    wanted.write_text(f"{SOURCE} --hash=sha256:{SHA256}\n")
    options = ("--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes")
    try:
        pip("download", *options, "-r", wanted, "-d", folder, doing=f"the download of {SOURCE}")
    except BuildError as error:
        raise BuildError(
            f"{error}\nWanted: the file with that sum, the package index reachable, torch, "
            "pip 23.2.1 (pip 26 refuses: an extra names a URL). Next: mend that, then make setup."
        ) from None
    (archive,) = folder.glob("*.tar.gz")
    return archive


def unpack(archive: Path, folder: Path, sha256: str = SHA256) -> Path:
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise BuildError(
            f"{archive} is not the pinned source: its sha256 is {found}, wanted {sha256}. "
            "Next: remove it and download again; should it differ again, do not install it."
        )
    with tarfile.open(archive) as source:
        # Pythons before 3.11.4 know no filter; the sum alone vouches for the names there.
        safety = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        source.extractall(folder, **safety)  # type: ignore[arg-type]
    (tree,) = (path for path in folder.iterdir() if path.is_dir())
    return tree


def mend(tree: Path, mends: Sequence[Mend] = MENDS) -> list[str]:
    """Apply every mend and mark the changed files; a text that is not there is an error."""
    for rule in mends:
        path = tree / rule.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if rule.old not in text:
            got = "other text" if path.is_file() else "no such file"
            raise BuildError(
                f"{rule.file} cannot be mended: got {got}, wanted it to hold {rule.old!r}. "
                "Next: compare it with the tag v0.6 and correct MENDS in build_detectron2.py."
            )
        path.write_text(text.replace(rule.old, rule.new), encoding="utf-8")
    changed = sorted({rule.file for rule in mends})
    for file in changed:
        with (tree / file).open("a", encoding="utf-8") as stream:
            stream.write(NOTICE)
    return changed


def build_wheel(tree: Path, wheel_folder: Path) -> Path:
    """A wheel of the mended tree; the source's own setup.py would want the C++ sources."""
    (tree / "setup.py").unlink()
    (tree / "setup.cfg").unlink()
    (tree / "pyproject.toml").write_text(PYPROJECT)
    (tree / "detectron2" / "utils" / "missing.py").write_text(MISSING)
    for package in (tree / "projects").glob("*/*/"):  # where v0.6's own setup.py puts them too
        shutil.move(package, tree / "detectron2" / "projects" / package.name)
    options = ("--no-deps", "--no-build-isolation", "-w", wheel_folder)
    pip("wheel", tree, *options, doing="building the wheel of Detectron2")
    return wheel_folder / f"detectron2-{VERSION}-py3-none-any.whl"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    wheels = REPOSITORY_ROOT / "build" / "wheels"
    parser.add_argument("--wheel-dir", type=Path, default=wheels, help="default: build/wheels")
    parser.add_argument("--no-install", action="store_true", help="only leave the wheel there")
    options = parser.parse_args()
    try:
        present = None if options.no_install else installed()
        if present:
            print(f"kept: {present}")
        else:
            with tempfile.TemporaryDirectory(prefix="jeans-detectron2-") as work:
                tree = unpack(download(Path(work)), Path(work) / "source")
                print(f"mended {len(mend(tree))} files of {SOURCE}")
                wheel = build_wheel(tree, options.wheel_dir.resolve())
            print(f"built {wheel}")
        if not options.no_install:
            if not present:
                pip("install", "--no-deps", wheel, doing=f"the installation of {wheel}")
            print(python("-W", "ignore", "-c", CHECK, doing="using the installed Detectron2"))
    except BuildError as error:
        print(f"Detectron2: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

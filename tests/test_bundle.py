from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jeans_udf.bundle import open_bundle, write_manifest
from jeans_udf.errors import BundleError
from jeans_udf.vocabulary import load_vocabulary


@pytest.fixture
def bundle_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "bundle"
    directory.mkdir()
    (directory / "detector.yaml").write_text("MODEL: {META_ARCHITECTURE: RetinaNet}\n")
    (directory / "detector.safetensors").write_bytes(b"weights of a detector")
    (directory / "classifier.safetensors").write_bytes(b"weights of a classifier")
    write_manifest(directory, manifest_values())
    return directory


def manifest_values() -> dict:
    return {
        "name": "tiny",
        "version": "1",
        "created": "2026-01-01",
        "vocabulary": load_vocabulary("conf/vocabulary.yaml").as_dict(),
        "detector": {
            "config": "detector.yaml",
            "weights": "detector.safetensors",
            "score_threshold": 0.5,
        },
        "classifier": {
            "backbone": "tf_efficientnet_lite0",
            "weights": "classifier.safetensors",
            "size": 224,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "thresholds": {},
        },
        "training_data": [],
        "metrics": {},
    }


def _edit(directory: Path, change) -> None:
    values = json.loads((directory / "manifest.json").read_text())
    change(values)
    (directory / "manifest.json").write_text(json.dumps(values))


def test_version_is_the_name_and_twelve_digits_of_the_manifest(bundle_dir: Path) -> None:
    bundle = open_bundle(bundle_dir)
    assert bundle.model_version == f"tiny-{bundle.manifest_sha256[:12]}"
    assert bundle.vocabulary == load_vocabulary("conf/vocabulary.yaml")


def test_a_changed_byte_is_refused(bundle_dir: Path) -> None:
    (bundle_dir / "detector.safetensors").write_bytes(b"Weights of a detector")
    with pytest.raises(BundleError, match="detector.safetensors: sha256 is"):
        open_bundle(bundle_dir)


def test_a_missing_file_is_refused(bundle_dir: Path) -> None:
    (bundle_dir / "detector.yaml").unlink()
    with pytest.raises(BundleError, match="detector.yaml: is missing"):
        open_bundle(bundle_dir)


def test_a_file_that_the_manifest_does_not_name_is_refused(bundle_dir: Path) -> None:
    (bundle_dir / "extra.yaml").write_text("x")
    with pytest.raises(BundleError, match=r"extra\.yaml.*not in the manifest"):
        open_bundle(bundle_dir)


def test_a_pickle_is_refused_even_with_its_digest(bundle_dir: Path) -> None:
    (bundle_dir / "learner.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    write = pytest.raises(BundleError, match=r"learner\.pkl: wanted one of")
    with write:
        write_manifest(bundle_dir, manifest_values())
    with pytest.raises(BundleError, match=r"learner\.pkl"):
        open_bundle(bundle_dir)


@pytest.mark.parametrize("name", ["../outside.json", "/etc/hostname.json"])
def test_a_path_out_of_the_bundle_is_refused(bundle_dir: Path, name: str) -> None:
    (bundle_dir.parent / "outside.json").write_text("{}")
    _edit(bundle_dir, lambda v: v["files"].update({name: "0" * 64}))
    with pytest.raises(BundleError, match="climbs out"):
        open_bundle(bundle_dir)


def test_a_link_out_of_the_bundle_is_refused(bundle_dir: Path) -> None:
    outside = bundle_dir.parent / "detector.yaml"
    shutil.move(bundle_dir / "detector.yaml", outside)
    (bundle_dir / "detector.yaml").symlink_to(outside)
    with pytest.raises(BundleError, match="climbs out"):
        open_bundle(bundle_dir)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 100_000, '{"name": 1}', "null"]
)
def test_a_broken_manifest_is_one_clear_error(bundle_dir: Path, text: str) -> None:
    (bundle_dir / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="manifest.json"):
        open_bundle(bundle_dir)


def test_an_oversized_manifest_is_not_parsed(bundle_dir: Path) -> None:
    (bundle_dir / "manifest.json").write_text("[" + "[]," * 500_000 + "[]]")
    with pytest.raises(BundleError, match="is over"):
        open_bundle(bundle_dir)


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(BundleError, match=r"no such bundle.*\./defualt"):
        open_bundle("defualt")

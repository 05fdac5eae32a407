from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jeans_udf.bundle import open_bundle, write_manifest
from jeans_udf.errors import BundleError
from jeans_udf.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary("conf/vocabulary.yaml")
COMBINATION = {"detector": 0.5, "classifier": 1.2, "none_bias": -0.3, "least_score": 0.1}


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
        "vocabulary": VOCABULARY.as_dict(),
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
            "thresholds": dict.fromkeys(["wash", "fit", "length", *VOCABULARY.labels[-8:]], 0.5),
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
    assert bundle.vocabulary == VOCABULARY


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


def test_sound_decisions_are_accepted(bundle_dir: Path) -> None:
    def decide(values: dict) -> None:
        values["detector"]["category_thresholds"] = {"jeans": 0.4}
        values["classifier"]["temperatures"] = {"wash": 1.5, "details": 0.2, "category": 3}
        # A label of an exclusive group may have its own.
        values["classifier"]["thresholds"]["cropped"] = 0.2
        values["combination"] = COMBINATION

    _edit(bundle_dir, decide)
    manifest = open_bundle(bundle_dir).manifest
    assert manifest.combination is not None and manifest.combination.least_score == 0.1
    assert manifest.classifier.temperatures["category"] == 3.0
    edges = COMBINATION | {"detector": 0, "classifier": 0, "least_score": 1}
    _edit(bundle_dir, lambda v: v.update(combination=edges))
    assert open_bundle(bundle_dir).manifest.combination is not None


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("classifier", "temperatures", {"wash": 0}, r"temperatures\.wash: got 0.0, wanted more th"),
        ("classifier", "temperatures", {"wash": -1.5}, r"\.wash: got -1.5, wanted more than 0"),
        ("classifier", "temperatures", {"wash": float("nan")}, r"wash: got nan, wanted a finite"),
        ("classifier", "temperatures", {"category": float("inf")}, r"category: got inf, wanted"),
        ("classifier", "temperatures", {"wsh": 1, "all": 1},
         r"temperatures names \['all', 'wsh'\]; wanted groups of its vocabulary.*wash, fit"),
        ("classifier", "thresholds", {}, r"thresholds: got none of wash, fit, length, distressed"),
        ("classifier", "mean", [0.5, float("nan"), 0.5], r"classifier\.mean\.1: got nan"),
        ("detector", "score_threshold", float("nan"), r"detector\.score_threshold: got nan"),
        ("detector", "category_thresholds", {"jeans": float("inf")}, r"\.jeans: got inf, wanted"),
        ("detector", "category_thresholds", {"skirts": 0.5},
         r"category_thresholds names \['skirts'\]; wanted categories of its vocabulary: jeans"),
        ("combination", "detector", -0.01, r"combination\.detector: got -0.01, wanted 0 or more"),
        ("combination", "classifier", -2, r"combination\.classifier: got -2.0, wanted 0 or more"),
        ("combination", "none_bias", float("nan"), r"combination\.none_bias: got nan, wanted"),
        ("combination", "detector", float("inf"), r"combination\.detector: got inf, wanted"),
        ("combination", "least_score", 1.01, r"combination\.least_score: got 1.01, wanted 0 to 1"),
        ("combination", "least_score", -0.01, r"least_score: got -0.01, wanted 0 to 1"),
    ],
)  # fmt: skip
def test_numbers_that_nothing_can_be_decided_by_are_refused(
    bundle_dir: Path, section: str, key: str, value: object, message: str
) -> None:
    def change(values: dict) -> None:
        values["combination"] = dict(COMBINATION)
        values[section][key] = value

    _edit(bundle_dir, change)
    with pytest.raises(BundleError, match=rf"bundle .*: manifest\.json: .*{message}"):
        open_bundle(bundle_dir)


@pytest.mark.parametrize("name", ["wash", "length", "cuffed", "embellished"])
def test_every_group_and_label_has_its_threshold(bundle_dir: Path, name: str) -> None:
    _edit(bundle_dir, lambda v: v["classifier"]["thresholds"].pop(name))
    with pytest.raises(BundleError, match=f"classifier.thresholds: got none of {name}; wanted one"):
        open_bundle(bundle_dir)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400, "NaN", '"x"', "null"])
def test_a_threshold_is_a_finite_number(bundle_dir: Path, number: str) -> None:
    text = (bundle_dir / "manifest.json").read_text()
    assert '"wash": 0.5' in text
    (bundle_dir / "manifest.json").write_text(text.replace('"wash": 0.5', f'"wash": {number}'))
    with pytest.raises(BundleError, match="wash"):
        open_bundle(bundle_dir)


def test_the_bundle_that_comes_along_is_sound() -> None:
    assert open_bundle("default").manifest.classifier.thresholds

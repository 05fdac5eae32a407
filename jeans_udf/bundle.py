"""A model bundle: a directory with a manifest, safetensors weights and Detectron2's YAML.

``manifest.json`` names every other file with its sha256; nothing else may lie in the directory.
So what is loaded is what was measured, and nothing that could run code is ever opened.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from jeans_udf.bundle_checks import check_numbers
from jeans_udf.config import Section
from jeans_udf.errors import BundleError, ConfigError
from jeans_udf.vocabulary import Vocabulary, parse_vocabulary

MANIFEST = "manifest.json"
SHIPPED = Path(__file__).parent / "bundles"
SUFFIXES = (".json", ".yaml", ".safetensors", ".md", ".png")
"""What a bundle may hold; a pickle (.pth, .pkl, ...) is refused whatever the manifest says."""
MAX_MANIFEST_BYTES = 1_000_000


class DetectorSpec(Section):
    """How the detector is run."""

    config: str
    """Detectron2 YAML within the bundle."""
    weights: str
    """Safetensors file within the bundle."""
    score_threshold: float
    """Least score of a garment, fitted on validation photos."""
    category_thresholds: dict[str, float] = {}
    """The same for single categories, where it differs."""
    proposer_config: str | None = None
    """Detectron2 YAML of the RPN that proposes boxes to a Fast R-CNN."""
    proposer_weights: str | None = None
    """Its safetensors file."""

    @property
    def file_names(self) -> tuple[str, ...]:
        """Every file within the bundle that is named here."""
        names = (self.config, self.weights, self.proposer_config, self.proposer_weights)
        return tuple(name for name in names if name is not None)


class ClassifierSpec(Section):
    """How the classifier is run."""

    backbone: str
    """Name of a timm network."""
    weights: str
    """Safetensors file within the bundle."""
    view: Literal["masked", "dimmed", "context", "box", "margin"] = "masked"
    """What it sees of a garment; see `models.views.View`."""
    size: int
    """Side of the square that a crop is fitted into, pixels."""
    input_size: int | None = None
    """Side that the square is then scaled to, when it is another."""
    mean: tuple[float, float, float]
    """Subtracted from RGB values of 0 to 1."""
    std: tuple[float, float, float]
    """Divides what is left."""
    mirrored: bool = False
    """Whether the mean of the crop's and its mirror image's logits is taken."""
    temperatures: dict[str, float] = {}
    """Divide the logits of each group, and of the verdict (``category``), before scores are made
    of them: fitted on validation crops, so that a score says how often it is right."""
    thresholds: dict[str, float]
    """Least score of each label, and of each exclusive group to answer, where a label has none."""
    head: Literal["linear", "fastai"] = "linear"
    """What stands on the backbone: one linear layer, or the head of fastai's vision learners."""
    verdict: bool = True
    """Whether it also tells crops without a garment (``category:none``, …) after the labels."""
    scores: Literal["groups", "sigmoid"] = "groups"
    """A softmax within exclusive groups and sigmoids elsewhere, or a sigmoid for every label."""


class CombinationSpec(Section):
    """How detector and classifier decide together; see `models.combination`."""

    detector: float
    """Weight of the detector's log-chances."""
    classifier: float
    """Weight of the verdict's."""
    none_bias: float
    """Added to the log-odds of none."""
    least_score: float
    """Detections that the detector gives less are not shown to the classifier."""


class Manifest(Section):
    """The content of ``manifest.json``."""

    name: str
    version: str
    """Of the bundle, for people; the digest tells bundles apart."""
    created: str
    vocabulary: dict[str, Any]
    detector: DetectorSpec
    classifier: ClassifierSpec
    combination: CombinationSpec | None = None
    """None: the detector decides, and the classifier's ``none`` lowers its score."""
    training_data: list[dict[str, Any]]
    """Name, licence, source and numbers of each data set."""
    metrics: dict[str, Any]
    """On validation photos; more of them in metrics.json."""
    files: dict[str, str]
    """Hex sha256 of every file but the manifest, by its path."""


@dataclass(frozen=True)
class Bundle:
    """A checked bundle."""

    directory: Path
    manifest: Manifest
    manifest_sha256: str
    vocabulary: Vocabulary

    @property
    def model_version(self) -> str:
        """What the tables' ``model_version`` says."""
        return f"{self.manifest.name}-{self.manifest_sha256[:12]}"

    def path(self, name: str) -> Path:
        return self.directory / name


def find_bundle(name_or_directory: str) -> Path:
    """The directory of a bundle, given itself or the name of one that comes with the package."""
    if "/" in name_or_directory or "\\" in name_or_directory:
        return Path(name_or_directory)
    shipped = sorted(p.name for p in SHIPPED.iterdir() if p.is_dir()) if SHIPPED.is_dir() else []
    if name_or_directory in shipped:
        return SHIPPED / name_or_directory
    raise BundleError(
        f"bundle {name_or_directory!r}: no such bundle comes with the package (known: "
        f"{', '.join(shipped) or 'none'}); a directory is given with a slash, ./{name_or_directory}"
    )


def open_bundle(name_or_directory: str | Path) -> Bundle:
    """Find a bundle and check every digest; raises `BundleError` before anything is loaded."""
    directory = find_bundle(str(name_or_directory))
    manifest_file = directory / MANIFEST
    try:
        if manifest_file.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(f"bundle {directory}: {MANIFEST} is over {MAX_MANIFEST_BYTES} bytes")
        raw = manifest_file.read_bytes()
    except OSError as error:
        raise BundleError(f"bundle {directory}: {MANIFEST}: {error.strerror}") from None
    manifest = _parse(raw, directory)
    try:
        vocabulary = parse_vocabulary(manifest.vocabulary, where=f"{directory}/{MANIFEST}")
    except ConfigError as error:
        raise BundleError(str(error)) from None
    check_numbers(manifest.model_dump(), vocabulary, f"bundle {directory}: {MANIFEST}")
    _check_files(directory, manifest)
    _check_detector(directory, manifest.detector)
    return Bundle(directory, manifest, hashlib.sha256(raw).hexdigest(), vocabulary)


def _check_detector(directory: Path, detector: DetectorSpec) -> None:
    """Raise `BundleError` for an architecture that cannot tag; read without Detectron2."""
    place = f"bundle {directory}: {detector.config}"
    try:
        model = (yaml.safe_load((directory / detector.config).read_text("utf-8")) or {})["MODEL"]
        architecture = model.get("META_ARCHITECTURE", "GeneralizedRCNN")
        proposals = model.get("PROPOSAL_GENERATOR", {}).get("NAME", "RPN")
    except (yaml.YAMLError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise BundleError(f"{place}: not a Detectron2 configuration") from None
    if architecture == "ProposalNetwork":
        raise BundleError(
            f"{place}: an RPN proposes boxes without categories; train a Fast R-CNN on them "
            "(conf/detectors/fast_rcnn.yaml) and put that into the bundle"
        )
    precomputed = architecture == "GeneralizedRCNN" and proposals == "PrecomputedProposals"
    if precomputed and not (detector.proposer_config and detector.proposer_weights):
        raise BundleError(
            f"{place}: a Fast R-CNN needs the RPN that proposes for it; train it with --proposer "
            "and build the bundle again"
        )


def file_sha256(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(directory: Path, values: dict[str, Any]) -> Bundle:
    """Write ``manifest.json`` for the files that lie in ``directory``, and open the bundle."""
    names = sorted(
        p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()
    )
    files = {name: file_sha256(directory / name) for name in names if name != MANIFEST}
    manifest = Manifest.model_validate(values | {"files": files})
    (directory / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return open_bundle(f"{directory}/")


def _parse(raw: bytes, directory: Path) -> Manifest:
    place = f"bundle {directory}: {MANIFEST}"
    try:
        values = json.loads(raw)
    except (ValueError, RecursionError):
        raise BundleError(f"{place}: not JSON") from None
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors()[:5]
        )
        raise BundleError(f"{place}: {problems}") from None
    for name in (*manifest.detector.file_names, manifest.classifier.weights):
        if name not in manifest.files:
            raise BundleError(f"{place}: names {name!r}, but files has no digest for it")
    return manifest


def _check_files(directory: Path, manifest: Manifest) -> None:
    root = directory.resolve()
    for name, wanted in manifest.files.items():
        place = f"bundle {directory}: {name}"
        pure = PurePosixPath(name)
        path = directory / pure
        if pure.is_absolute() or ".." in pure.parts or not path.resolve().is_relative_to(root):
            raise BundleError(f"{place}: climbs out of the bundle's directory")
        if pure.suffix not in SUFFIXES:
            raise BundleError(f"{place}: wanted one of {', '.join(SUFFIXES)}; no other is loaded")
        if not path.is_file():
            raise BundleError(f"{place}: is missing; copy the bundle again")
        got = file_sha256(path)
        if got != wanted:
            raise BundleError(
                f"{place}: sha256 is {got[:12]}…, the manifest wants {wanted[:12]}…; "
                "the file was changed: copy the bundle again"
            )
    present = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()}
    extra = sorted(present - set(manifest.files) - {MANIFEST})
    if extra:
        raise BundleError(f"bundle {directory}: {extra[:3]} are not in the manifest; remove them")

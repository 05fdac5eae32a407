"""Each architecture from a training's folder into a bundle, and through the pass over pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import WITH_BOXES, pictures, write_run
from PIL import Image

from jeans_udf.bundle import Bundle, open_bundle
from jeans_udf.config import load_config
from jeans_udf.drawing import draw_dataset
from jeans_udf.errors import BundleError, ConfigError
from jeans_udf.models.detector import open_detector
from jeans_udf.source_image import SourceImage
from jeans_udf.tagger import Tagger
from jeans_udf.training.assemble import Parts, assemble_bundle, classifier_of_bundle
from jeans_udf.training.coco import Photo, read_coco


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    drawn = draw_dataset(tmp_path_factory.mktemp("drawn"), 3, seed=4, negatives=0.0)
    names = open_bundle("default").vocabulary.categories
    return read_coco(drawn / "photos", drawn / "annotations/instances.json", names)


def parts_with(run: Path) -> Parts:
    shipped = open_bundle("default")
    return Parts(
        name="own", version="1", detector=run,
        classifier=classifier_of_bundle(shipped, shipped.vocabulary),
        vocabulary="conf/vocabulary.yaml", training_data=None,
    )  # fmt: skip


def build(name: str, folder: Path, photos: list[Photo]) -> Bundle:
    parts = parts_with(write_run(name, folder / "run"))
    return assemble_bundle(folder / "bundle", parts, photos, most_tagged=1.0)


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("name", WITH_BOXES)
def test_each_tags_from_a_bundle(name: str, tmp_path: Path, photos: list[Photo]) -> None:
    bundle = build(name, tmp_path, photos)
    spec = bundle.manifest.detector
    assert (spec.proposer_config is not None) == (name == "fast_rcnn")
    assert set(spec.category_thresholds) == set(bundle.vocabulary.categories)
    config = load_config(overrides=["detection.score_threshold=0", "detection.max_garments=3"])
    tagger = Tagger(bundle, config, torch.device("cpu"))
    sources = [SourceImage(f"i{k}", None, png(picture), None)
               for k, picture in enumerate(pictures(3))]  # fmt: skip
    rows: list[dict[str, Any]] = list(tagger.tag(sources))
    assert [row["status"] for row in rows] == ["tagged"] * 3
    for garment in (garment for row in rows for garment in row["found"]):
        masked = garment["mask"] is not None
        assert masked == (garment["mask_area"] is not None)
        if name != "mask_rcnn":
            assert not masked
            box = garment["box"]
            width = np.ceil(box["x_max"]) - np.floor(box["x_min"])
            height = np.ceil(box["y_max"]) - np.floor(box["y_min"])
            assert (garment["crop_width"], garment["crop_height"]) == (width, height)
            crop = np.asarray(Image.open(io.BytesIO(garment["crop"])))
            assert (crop[..., 3] == 255).all(), "without a mask the crop is the whole box"


def test_an_rpn_is_refused_with_what_to_do(tmp_path: Path, photos: list[Photo]) -> None:
    with pytest.raises(BundleError, match="train a Fast R-CNN"):
        build("rpn", tmp_path, photos)


@pytest.mark.parametrize("name", ["detector.yaml", "metrics.json", "proposer.safetensors"])
def test_an_unfinished_run_is_refused(name: str, tmp_path: Path, photos: list[Photo]) -> None:
    run = write_run("fast_rcnn", tmp_path / "run")
    (run / name).unlink()
    with pytest.raises(ConfigError, match=f"holds no {name}"):
        assemble_bundle(tmp_path / "bundle", parts_with(run), photos, most_tagged=1.0)


def test_a_fast_rcnn_without_its_rpn_is_refused(tmp_path: Path, photos: list[Photo]) -> None:
    run = write_run("fast_rcnn", tmp_path / "run")
    (run / "proposer.yaml").unlink()
    parts = parts_with(run)
    with pytest.raises(BundleError, match="needs the RPN"):
        assemble_bundle(tmp_path / "bundle", parts, photos, most_tagged=1.0)


def test_a_run_folder_opens_with_its_proposer(tmp_path: Path) -> None:
    detector = open_detector(write_run("fast_rcnn", tmp_path / "run"), torch.device("cpu"))
    assert detector.wants_proposals and detector.proposer is not None
    found = detector.propose([detector.prepare(pictures(1)[0])])[0]
    assert len(found) > 0
    # An RPN's folder in place of the proposer is fine, a detector's is not.
    (tmp_path / "run" / "proposer.yaml").write_text((tmp_path / "run/detector.yaml").read_text())
    with pytest.raises(ConfigError, match="wanted an RPN"):
        open_detector(tmp_path / "run", torch.device("cpu"))


def test_a_batch_too_large_for_the_device_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = open_detector(write_run("faster_rcnn", tmp_path / "run"), torch.device("cpu"),
                             score_threshold=0.0)  # fmt: skip
    canvases = [detector.prepare(picture) for picture in pictures(5)]
    wanted = detector.detect(canvases)
    whole, sizes = detector.model.backbone.forward, []

    def small(tensor: torch.Tensor) -> Any:
        sizes.append(len(tensor))
        if len(tensor) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(tensor)

    monkeypatch.setattr(detector.model.backbone, "forward", small)
    found = detector.detect(canvases)
    assert sizes == [5, 2, 2, 1]
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)
        np.testing.assert_array_equal(one.classes, other.classes)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from jeans_udf.errors import BundleError, ConfigError
from jeans_udf.models.detector import (
    Detector,
    build_detector,
    laid_out,
    load_weights,
    prepare_canvas,
    read_detector_config,
)
from jeans_udf.models.detector_config import check_categories, write_categories

CONFIG = "conf/detectors/mask_rcnn.yaml"


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    cfg = read_detector_config(CONFIG, "lite0_fpn")
    return Detector(
        build_detector(cfg),
        longest_side=128,
        score_threshold=0.0,
        max_garments=5,
        device=torch.device("cpu"),
    )


def _pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [rng.integers(0, 256, (200, 150, 3), dtype=np.uint8) for _ in range(3)]


def test_the_canvas_depends_on_the_picture_alone() -> None:
    canvas = prepare_canvas(np.full((400, 300, 3), 9, dtype=np.uint8), 320)
    assert canvas.scaled == (320, 240) and canvas.shape == (320, 256)
    assert canvas.original == (400, 300)
    assert (canvas.pixels[:, :, :240] == 9).all()
    assert (canvas.pixels[:, :, 240:] == 127).all(), "padding is the mean colour"


def test_a_batch_is_laid_out_as_detectron2_does(detector: Detector) -> None:
    rng = np.random.default_rng(5)
    # Pictures of several sizes on canvases of one.
    images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((128, 97), (120, 128))]
    canvases = [detector.prepare(image) for image in images]
    assert {canvas.shape for canvas in canvases} == {(128, 128)}
    model = detector.model
    theirs = model.preprocess_image([{"image": canvas.picture} for canvas in canvases])
    ours = laid_out(canvases, model.pixel_mean, model.pixel_std, detector.device)
    assert torch.equal(ours.tensor, theirs.tensor) and ours.image_sizes == theirs.image_sizes


def test_neighbours_do_not_change_detections(detector: Detector) -> None:
    canvases = [detector.prepare(picture) for picture in _pictures()]
    for canvas, together in zip(canvases, detector.detect(canvases), strict=True):
        alone = detector.detect([canvas])[0]
        assert len(alone) == len(together) > 0
        np.testing.assert_allclose(alone.boxes, together.boxes, atol=0.02)
        np.testing.assert_allclose(alone.scores, together.scores, atol=1e-4)


def test_boxes_and_masks_are_in_pixels_of_the_upright_image(detector: Detector) -> None:
    found = detector.detect([detector.prepare(_pictures()[0])])[0]
    assert found.boxes[:, [0, 2]].max() <= 150 and found.boxes[:, [1, 3]].max() <= 200
    assert (found.boxes >= 0).all() and (np.diff(found.scores) <= 0).all()
    masks = found.full_masks(200, 150)
    assert masks is not None and masks.shape == (len(found), 200, 150)
    for box, mask in zip(found.boxes, masks, strict=True):
        rows, columns = np.nonzero(mask)
        if rows.size:
            assert columns.min() >= np.floor(box[0]) and columns.max() < np.ceil(box[2]) + 1
            assert rows.min() >= np.floor(box[1]) and rows.max() < np.ceil(box[3]) + 1


def test_no_canvas_no_detections(detector: Detector) -> None:
    assert detector.detect([]) == []


def test_max_garments_and_threshold_hold(detector: Detector) -> None:
    assert len(detector.detect([detector.prepare(_pictures()[0])])[0]) <= 5
    strict = Detector(
        detector.model, longest_side=128, score_threshold=1.0, max_garments=5,
        device=torch.device("cpu"),
    )  # fmt: skip
    found = strict.detect([strict.prepare(_pictures()[0])])[0]
    assert len(found) == 0
    masks = found.full_masks(10, 20)
    assert masks is not None and masks.shape == (0, 10, 20)


def test_a_config_with_an_unknown_key_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("VERSION: 2\nMODEL:\n  TIMMM:\n    NAME: x\n")
    with pytest.raises(ConfigError, match="wrong.yaml"):
        read_detector_config(wrong)


def test_yaml_that_builds_python_objects_runs_nothing(tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.yaml"
    marker = tmp_path / "ran"
    call = f'!!python/object/apply:os.system ["touch {marker}"]'
    hostile.write_text(f"VERSION: 2\nOUTPUT_DIR: {call}\n")
    with pytest.raises(ConfigError, match="hostile.yaml"):
        read_detector_config(hostile)
    assert not marker.exists()


def test_weights_of_another_model_are_refused(tmp_path: Path, detector: Detector) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BundleError, match="do not fit"):
        load_weights(detector.model, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(BundleError, match="broken.safetensors"):
        load_weights(detector.model, tmp_path / "broken.safetensors")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_BASE_: {outside}\n", "_BASE_ is not followed"),
        ("_BASE_: http://127.0.0.1:9/x.yaml\n", "_BASE_ is not followed"),
        ("VERSION: 1\n", "VERSION: got 1"),
        ("- a list\n", "wanted keys"),
        ("MODEL: 3\n", "MODEL"),
    ],
)
def test_a_config_reads_no_other_file_and_no_address(
    tmp_path: Path, text: str, message: str
) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("MODEL: {MASK_ON: true}\n")
    file = tmp_path / "config.yaml"
    file.write_text(text.format(outside=outside))
    with pytest.raises(ConfigError, match=message):
        read_detector_config(file)


def test_an_unknown_backbone_names_the_near_miss() -> None:
    with pytest.raises(ConfigError, match="lite0_fpn"):
        read_detector_config(CONFIG, "lite0fpn")


def test_what_detectron2_cannot_build_is_a_config_error() -> None:
    for key, value in (("TIMM.NAME", "no_such_net"), ("PYRAMID.TOP", "pyramid")):
        cfg = read_detector_config(CONFIG, "lite0_fpn")
        cfg.merge_from_list([f"MODEL.{key}", value])
        with pytest.raises(ConfigError, match="cannot build"):
            build_detector(cfg)


def test_a_run_of_other_categories_is_refused(tmp_path: Path) -> None:
    write_categories(tmp_path, ("jeans", "shorts"))
    check_categories(tmp_path, ("jeans", "shorts"))
    with pytest.raises(ConfigError, match="trained for the categories"):
        check_categories(tmp_path, ("shorts", "jeans"))

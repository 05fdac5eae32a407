"""The mended Detectron2: the mending itself, and the package that came out of it."""

from __future__ import annotations

import hashlib
import importlib.util
import tarfile
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "build_detectron2.py"


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_detectron2", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = _script()
HAS_EXTENSION = importlib.util.find_spec("detectron2._C") is not None


def test_mends_change_every_occurrence_and_mark_the_file(tmp_path: Path) -> None:
    source = tmp_path / "package" / "code.py"
    source.parent.mkdir()
    source.write_text("a = np.int)\nb = np.int)\nc = np.int32\n")
    changed = build.mend(tmp_path, [build.Mend("package/code.py", "np.int)", "int)")])
    assert changed == ["package/code.py"]
    assert source.read_text() == "a = int)\nb = int)\nc = np.int32\n" + build.NOTICE


def test_an_optional_import_fails_at_its_first_use(tmp_path: Path) -> None:
    (tmp_path / "ops.py").write_text("import math\n\nfrom detectron2 import _C\n\nx = 1\n")
    build.mend(tmp_path, [build.Mend("ops.py", *build.EXTENSION)])
    assert (
        "try:\n    from detectron2 import _C\nexcept ImportError:\n"
        in (tmp_path / "ops.py").read_text()
    )
    stand_ins: dict[str, object] = {}
    exec(build.MISSING, stand_ins)
    with pytest.raises(ImportError, match="_C.box_iou needs .* official repository"):
        _ = stand_ins["EXTENSION"].box_iou  # type: ignore[attr-defined]


@pytest.mark.parametrize("text", ["np.int64)", None])
def test_a_changed_source_is_refused_with_its_file(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "code.py").write_text(text)
    with pytest.raises(build.BuildError, match=r"code\.py cannot be mended: got .*'np\.int\)'"):
        build.mend(tmp_path, [build.Mend("code.py", "np.int)", "int)")])


def test_a_wrong_sha256_is_refused(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("x = 1\n")
    archive = tmp_path / "source.tar.gz"
    with tarfile.open(archive, "w:gz") as stream:
        stream.add(tmp_path / "code.py", "tree/code.py")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    with pytest.raises(build.BuildError, match=f"is {found}, wanted {build.SHA256}"):
        build.unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    tree = build.unpack(archive, tmp_path / "out", found)
    assert (tree / "code.py").read_text() == "x = 1\n"


@pytest.mark.parametrize(
    ("version", "file", "kept"),
    [
        (build.VERSION, "__init__.py", True),
        ("0.6", "_C.cpython-311-x86_64-linux-gnu.so", True),
        ("0.6+pure.of.another.day", "__init__.py", False),
        ("0.6", "__init__.py", False),
    ],
)
def test_what_is_installed_stays_or_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, file: str, kept: bool
) -> None:
    (tmp_path / file).touch()
    spec = ModuleSpec("detectron2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(build, "find_spec", lambda name: spec)
    monkeypatch.setattr(build.metadata, "version", lambda name: version)
    assert (build.installed() is not None) is kept


@pytest.mark.skipif(HAS_EXTENSION, reason="this Detectron2 has its compiled extension")
def test_operations_of_the_extension_say_what_they_need() -> None:
    from detectron2.layers import nms_rotated
    from detectron2.layers.rotated_boxes import pairwise_iou_rotated

    boxes = torch.rand(2, 5)
    with pytest.raises(ImportError, match="official repository"):
        pairwise_iou_rotated(boxes, boxes)
    with pytest.raises(ImportError, match="official repository"):
        nms_rotated(boxes, torch.rand(2), 0.5)


def test_mask_rcnn_of_the_model_zoo_runs_on_the_cpu() -> None:
    from detectron2 import model_zoo
    from detectron2.config import get_cfg
    from detectron2.modeling import build_model

    config = get_cfg()
    config.merge_from_file(
        model_zoo.get_config_file("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.yaml")
    )
    config.MODEL.DEVICE = "cpu"
    config.MODEL.WEIGHTS = ""
    # The zoo's frozen norms scale nothing before training: random activations would overflow.
    config.MODEL.RESNETS.NORM = "GN"
    config.MODEL.RPN.POST_NMS_TOPK_TEST = 20
    # Random weights are sure of nothing; without a threshold the mask branch still runs.
    config.MODEL.ROI_HEADS.SCORE_THRESH_TEST = 0.0
    config.TEST.DETECTIONS_PER_IMAGE = 3

    torch.manual_seed(0)
    model = build_model(config).eval()
    with torch.no_grad():
        # The answer comes in the size that is asked for, not in the size of the pixels given.
        (output,) = model([{"image": torch.rand(3, 64, 96) * 255, "height": 128, "width": 192}])
    instances = output["instances"]
    assert 1 <= len(instances) <= 3
    assert instances.pred_masks.shape == (len(instances), 128, 192)
    assert instances.pred_masks.dtype == torch.bool
    assert torch.isfinite(instances.pred_boxes.tensor).all()

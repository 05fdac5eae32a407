"""The six architectures, small and with fresh weights that find something, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from detectron2.config import CfgNode
from safetensors.torch import save_file
from torch import nn

from jeans_udf.engines.engine import Engine
from jeans_udf.engines.parts import hand_over
from jeans_udf.models.detections import Detections, Proposals
from jeans_udf.models.detector import Detector, build_detector, read_detector_config
from jeans_udf.models.detector_config import set_categories

CONFIGS = Path("conf/detectors")
ALL = tuple(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
WITH_BOXES = tuple(name for name in ALL if name != "rpn")
SIDE = 96
BOX_TOLERANCE, SCORE_TOLERANCE = 1e-2, 1e-4
"""Pixels, and score: what the order of additions may change."""


def small_config(name: str, backbone: str = "lite0_fpn", categories: int = 5) -> CfgNode:
    """96 pixels, and every score kept: fresh heads score everything alike, and low."""
    cfg = read_detector_config(CONFIGS / f"{name}.yaml", backbone)
    set_categories(cfg, categories)
    cfg.INPUT.MIN_SIZE_TEST = cfg.INPUT.MAX_SIZE_TEST = SIDE
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = cfg.MODEL.RETINANET.SCORE_THRESH_TEST = 0.0
    cfg.TEST.DETECTIONS_PER_IMAGE = 40
    return cfg


def small_model(cfg: CfgNode, seed: int = 0) -> nn.Module:
    """The model of ``cfg`` with fresh weights whose answers differ."""
    torch.manual_seed(seed)
    model = build_detector(cfg)
    spread(model)
    return model


def small_detector(
    name: str, backbone: str = "lite0_fpn", engine: Engine | None = None
) -> Detector:
    """Fresh weights, every score kept; a Fast R-CNN gets a fresh RPN."""
    model = small_model(small_config(name, backbone)).eval()
    proposer = small_model(small_config("rpn", backbone)).eval() if name == "fast_rcnn" else None
    if engine is not None:
        hand_over(model, engine)
        if proposer is not None:
            hand_over(proposer, engine, "proposer_")
    return Detector(model, longest_side=SIDE,
                    score_threshold=0.0, max_garments=5, device=torch.device("cpu"),
                    proposer=proposer)  # fmt: skip


def write_run(name: str, folder: Path) -> Path:
    """What a training leaves, with fresh weights."""
    folder.mkdir(parents=True)
    parts = {"detector": name} | ({"proposer": "rpn"} if name == "fast_rcnn" else {})
    for part, architecture in parts.items():
        cfg = small_config(architecture)
        (folder / f"{part}.yaml").write_text(cfg.dump())
        tensors = small_model(cfg).state_dict()
        save_file({k: v.contiguous() for k, v in tensors.items()}, folder / f"{part}.safetensors")
    (folder / "metrics.json").write_text("{}")
    return folder


def spread(model: nn.Module) -> None:
    """Make the last layers' answers differ, so that no order hangs on rounding."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("objectness_logits", "cls_score")):
                if parameter.ndim > 1:
                    # Not so far that a sigmoid says 1.0 to many: those would be equal again.
                    parameter.normal_(0, float(parameter[0].numel()) ** -0.5)


def pictures(count: int, seed: int = 3) -> list[np.ndarray]:
    """Noise with coloured rectangles, (150, 110..149, 3) uint8: all on one canvas of 96 x 96."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        width = int(rng.integers(110, 150))
        picture = rng.integers(0, 256, (150, width, 3), dtype=np.uint8)
        for _ in range(3):
            left, top = rng.integers(0, 80, 2)
            picture[top : top + 60, left : left + 40] = rng.integers(0, 256, 3)
        made.append(picture)
    return made


def some_proposals(count: int = 3) -> Proposals:
    """Boxes in a picture of 150 x 110 or more."""
    boxes = np.array([[5, 5, 50, 140], [40, 10, 100, 120], [0, 0, 110, 150]], dtype=np.float32)
    return Proposals(boxes[:count], np.array([0.9, 0.8, 0.7], dtype=np.float32)[:count])


def assert_same(one: Detections, other: Detections) -> None:
    """Equal within the tolerances; detections of as good as equal scores may change places."""
    assert len(one) == len(other)
    np.testing.assert_allclose(one.scores, other.scores, atol=SCORE_TOLERANCE)
    apart = np.abs(one.boxes[:, None] - other.boxes[None]).max(2)
    apart += 1e3 * (one.classes[:, None] != other.classes[None])
    pairs = apart.argmin(1) if len(one) else np.zeros(0, dtype=int)
    assert sorted(pairs) == list(range(len(one)))
    np.testing.assert_allclose(one.boxes, other.boxes[pairs], atol=BOX_TOLERANCE)
    np.testing.assert_allclose(one.scores, other.scores[pairs], atol=SCORE_TOLERANCE)
    np.testing.assert_array_equal(one.classes, other.classes[pairs])
    assert (one.masks is None) == (other.masks is None)
    if one.masks is not None and other.masks is not None:
        np.testing.assert_allclose(one.masks, other.masks[pairs], atol=1e-3)

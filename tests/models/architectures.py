"""The six architectures, small and with fresh weights that find something, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from jeans_udf.models.detections import Proposals
from jeans_udf.models.detector import Detector, build_detector, read_detector_config

CONFIGS = Path("conf/detectors")
ALL = tuple(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
WITH_BOXES = tuple(name for name in ALL if name != "rpn")
SIDE = 96


def small_detector(name: str, backbone: str = "lite0_fpn", seed: int = 0) -> Detector:
    """Fresh weights at 96 pixels, every score kept; a Fast R-CNN gets a fresh RPN."""
    torch.manual_seed(seed)
    cfg = read_detector_config(CONFIGS / f"{name}.yaml", backbone)
    # Fresh heads score everything alike, and low: nothing may be cut off by that.
    cfg.MODEL.ROI_HEADS.SCORE_THRESH_TEST = cfg.MODEL.RETINANET.SCORE_THRESH_TEST = 0.0
    cfg.TEST.DETECTIONS_PER_IMAGE = 200
    proposer = None
    if name == "fast_rcnn":
        proposer = build_detector(read_detector_config(CONFIGS / "rpn.yaml", backbone))
        spread(proposer)
    model = build_detector(cfg)
    spread(model)
    return Detector(model, longest_side=SIDE, score_threshold=0.0, max_garments=5,
                    device=torch.device("cpu"), proposer=proposer)  # fmt: skip


def spread(model: torch.nn.Module) -> None:
    """Make the last layers' answers differ, so that no order hangs on rounding."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(part in name for part in ("objectness_logits", "cls_score", "score_maps")):
                if parameter.ndim > 1:
                    # Not so far that a sigmoid says 1.0 to many: those would be equal again.
                    parameter.normal_(0, float(parameter[0].numel()) ** -0.5)


def pictures(count: int, seed: int = 3) -> list[np.ndarray]:
    """Noise with coloured rectangles, (120, 70..90, 3) uint8: all on one canvas of 96 x 96."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        width = int(rng.integers(86, 96))
        picture = rng.integers(0, 256, (96, width, 3), dtype=np.uint8)
        for _ in range(3):
            left, top = rng.integers(0, 50, 2)
            picture[top : top + 40, left : left + 25] = rng.integers(0, 256, 3)
        made.append(picture)
    return made


def some_proposals(count: int = 3) -> Proposals:
    """Boxes in a picture of 96 x 86 or more."""
    boxes = np.array([[5, 5, 40, 80], [30, 10, 80, 90], [0, 0, 86, 96]], dtype=np.float32)
    return Proposals(boxes[:count], np.array([0.9, 0.8, 0.7], dtype=np.float32)[:count])

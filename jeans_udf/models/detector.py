"""Detectron2 detectors: built from a YAML, weights from safetensors, run on batches.

An image is scaled so that its longer side is ``INPUT.MAX_SIZE_TEST`` pixels and padded to a
multiple of 32: what an image's canvas is depends on that image alone, and only equal canvases
share a batch. So neighbours never change a result (unlike padding to the largest of a batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from detectron2.config import CfgNode, get_cfg
from detectron2.layers import batched_nms
from detectron2.layers.mask_ops import paste_masks_in_image
from detectron2.modeling import build_model
from detectron2.structures import Instances
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from jeans_udf.errors import BundleError, ConfigError
from jeans_udf.geometry import clip_boxes, fit_within, padded_size
from jeans_udf.models.backbone import add_timm_config

SIZE_DIVISOR = 32
DUPLICATE_IOU = 0.7
"""Two boxes that overlap more show one garment, whatever their categories; the better one stays."""


@dataclass(frozen=True)
class Canvas:
    """A decoded image made ready for the detector.

    ``pixels (3, H, W) uint8``, RGB, padded at the right and bottom; ``scaled`` the (height, width)
    of the picture on it; ``original`` the upright image's.
    """

    pixels: torch.Tensor
    scaled: tuple[int, int]
    original: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        return self.pixels.shape[1], self.pixels.shape[2]


@dataclass(frozen=True)
class Detections:
    """Garments of one image, best score first; pixels of the upright image.

    ``boxes (N, 4) float32`` XYXY, ``scores (N,) float32``, ``classes (N,) int64``,
    ``masks (N, 28, 28) float32`` probabilities within each box, or None without a mask head.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    masks: np.ndarray | None

    def __len__(self) -> int:
        return len(self.scores)

    def full_masks(self, height: int, width: int) -> np.ndarray | None:
        """Masks pasted into the upright image, (N, height, width) bool; None without masks."""
        if self.masks is None:
            return None
        if len(self) == 0:
            return np.zeros((0, height, width), dtype=bool)
        pasted = paste_masks_in_image(
            torch.from_numpy(self.masks), torch.from_numpy(self.boxes), (height, width), 0.5
        )
        return pasted.numpy().astype(bool)


def read_detector_config(file: str | Path) -> CfgNode:
    """Detectron2's defaults, our keys, and the YAML ``file`` on top.

    Raises `ConfigError` for unknown keys or wrong types, naming the file.
    """
    cfg = get_cfg()
    add_timm_config(cfg)
    try:
        # Detectron2 falls back to YAML that builds Python objects when asked; here it is not.
        cfg.merge_from_file(str(file), allow_unsafe=False)
    except (KeyError, ValueError, AssertionError, OSError, yaml.YAMLError) as error:
        raise ConfigError(f"detector config {file}: {error}") from None
    cfg.MODEL.DEVICE = "cpu"
    return cfg


def build_detector(cfg: CfgNode) -> nn.Module:
    """The Detectron2 model of ``cfg`` with fresh weights, on the CPU."""
    return build_model(cfg)


def load_weights(model: nn.Module, file: str | Path) -> None:
    """Fill every tensor of ``model`` from a safetensors file; half precision is widened."""
    try:
        tensors = load_file(str(file))
        model.load_state_dict({name: t.float() if t.is_floating_point() else t
                               for name, t in tensors.items()})
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(f"weights {file}: do not fit the model of the config: {first}") from None


class Detector:
    """A detector ready to run: `prepare` on any thread, `detect` on batches of equal canvases."""

    def __init__(
        self,
        model: Any,
        *,
        longest_side: int,
        score_threshold: float,
        max_garments: int,
        device: torch.device,
    ) -> None:
        self.model = model.eval().to(device).to(memory_format=torch.channels_last)
        self.longest_side = longest_side
        self.score_threshold = score_threshold
        self.max_garments = max_garments
        self.device = device

    def prepare(self, image: np.ndarray) -> Canvas:
        """Scale and pad ``image (H, W, 3) uint8``, RGB, to its canvas."""
        return prepare_canvas(image, self.longest_side)

    @torch.inference_mode()
    def detect(self, canvases: Sequence[Canvas]) -> list[Detections]:
        """Garments of each canvas; all canvases must have one shape."""
        assert len({canvas.shape for canvas in canvases}) <= 1, "canvases of one batch differ"
        inputs = [{"image": canvas.pixels.to(self.device)} for canvas in canvases]
        found = self.model.inference(inputs, do_postprocess=False) if inputs else []
        return [
            self._detections(instances, canvas)
            for instances, canvas in zip(found, canvases, strict=True)
        ]

    def _detections(self, instances: Instances, canvas: Canvas) -> Detections:
        instances = instances[instances.scores >= self.score_threshold]
        # Class-agnostic: Detectron2's own suppression keeps jeans and trousers of one garment.
        one_class = torch.zeros_like(instances.pred_classes)
        boxes = instances.pred_boxes.tensor
        keep = batched_nms(boxes, instances.scores, one_class, DUPLICATE_IOU)
        instances = instances[keep[: self.max_garments]].to("cpu")
        height, width = canvas.original
        to_original = np.array(
            [width / canvas.scaled[1], height / canvas.scaled[0]] * 2, dtype=np.float32
        )
        boxes = clip_boxes(instances.pred_boxes.tensor.numpy() * to_original, height, width)
        visible = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        masks = instances.pred_masks[:, 0].numpy() if instances.has("pred_masks") else None
        return Detections(
            boxes=boxes[visible],
            scores=instances.scores.numpy()[visible],
            classes=instances.pred_classes.numpy()[visible],
            masks=None if masks is None else masks[visible],
        )


def prepare_canvas(image: np.ndarray, longest_side: int) -> Canvas:
    """Scale ``image (H, W, 3) uint8`` to ``longest_side`` and pad it with the mean."""
    height, width = image.shape[:2]
    h, w, _ = fit_within(height, width, longest_side)
    scaled = np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR))
    canvas_h, canvas_w = padded_size(h, w, SIZE_DIVISOR)
    # The mean colour, which the model sees as zero: what Detectron2 pads a batch with.
    pixels = np.full((canvas_h, canvas_w, 3), 127, dtype=np.uint8)
    pixels[:h, :w] = scaled
    return Canvas(
        torch.from_numpy(pixels.transpose(2, 0, 1).copy()), (h, w), (height, width)
    )

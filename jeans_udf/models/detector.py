"""Detectron2 detectors, run on batches: any architecture that gives boxes, and the RPN.

An image is scaled so that its longer side is ``INPUT.MAX_SIZE_TEST`` pixels and padded to a
multiple of 32: what an image's canvas is depends on that image alone, and only equal canvases
share a batch. So neighbours never change a result (unlike padding to the largest of a batch).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.layers import batched_nms
from detectron2.structures import Boxes, ImageList, Instances
from torch import nn

from jeans_udf.errors import ConfigError
from jeans_udf.geometry import clip_boxes
from jeans_udf.models.canvas import Canvas, prepare_canvas
from jeans_udf.models.class_scores import class_scores_of, keep_class_scores
from jeans_udf.models.detections import Detections, Proposals
from jeans_udf.models.detector_config import build_detector, load_weights, read_detector_config
from jeans_udf.models.halving import Halving

DUPLICATE_IOU = 0.7
"""Two boxes that overlap more show one garment, whatever their categories; the better one stays."""
PROPOSALS_PER_IMAGE = 1000
"""Most proposals of one image that are read from a proposer."""
ARCHITECTURES = ("GeneralizedRCNN", "RetinaNet", "ProposalNetwork")
"""Detectron2's meta-architectures that a detector can be."""


class Detector:
    """A detector ready to run: `prepare` on any thread, `detect` on batches of equal canvases.

    ``model`` is one of `ARCHITECTURES`. ``proposer``, an RPN, is what a Fast R-CNN gets its boxes
    from. ``category_thresholds`` (class index -> score) go before ``score_threshold``.
    ``parameters`` is the number of weights, to be given where an engine has taken the modules.
    """

    def __init__(
        self,
        model: Any,
        *,
        longest_side: int,
        score_threshold: float,
        max_garments: int,
        device: torch.device,
        category_thresholds: Mapping[int, float] | None = None,
        proposer: nn.Module | None = None,
        parameters: int | None = None,
    ) -> None:
        self.architecture = type(model).__name__
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise ConfigError(
                f"MODEL.META_ARCHITECTURE: got {self.architecture}, wanted one of {known}"
            )
        self.model = _ready(model, device)
        if self.architecture == "GeneralizedRCNN":
            keep_class_scores(self.model.roi_heads.box_predictor)
        self.proposer = None if proposer is None else _ready(proposer, device)
        self.parameters = count_parameters(model, proposer) if parameters is None else parameters
        self.longest_side = longest_side
        self.score_threshold = score_threshold
        self.category_thresholds = dict(category_thresholds or {})
        self.max_garments = max_garments
        self.device = device
        self._detecting = Halving(self._detect_together)
        self._proposing = Halving(self._propose_together)

    @property
    def is_proposer(self) -> bool:
        """Whether the model is an RPN: it proposes boxes and knows no categories."""
        return self.architecture == "ProposalNetwork"

    @property
    def wants_proposals(self) -> bool:
        """Whether the model is a Fast R-CNN: it judges boxes that something else proposes."""
        return self.architecture == "GeneralizedRCNN" and self.model.proposal_generator is None

    def threshold(self, category: int) -> float:
        """Least score of a garment of the class index ``category``."""
        return self.category_thresholds.get(category, self.score_threshold)

    def prepare(self, image: np.ndarray, original: tuple[int, int] | None = None) -> Canvas:
        """Scale and pad ``image (H, W, 3) uint8``, RGB, to its canvas.

        ``original`` is the (height, width) of an image that is given reduced.
        """
        return prepare_canvas(image, self.longest_side, original)

    def detect(
        self, canvases: Sequence[Canvas], proposals: Sequence[Proposals] | None = None
    ) -> list[Detections]:
        """Garments of each canvas; all canvases must have one shape.

        ``proposals`` are used by a Fast R-CNN alone, whose proposer is asked when they are not
        given. A batch that the device's memory does not hold is halved. Raises `ConfigError` for
        an RPN, and for a Fast R-CNN with neither.
        """
        assert len({canvas.shape for canvas in canvases}) <= 1, "canvases of one batch differ"
        if self.is_proposer:
            raise ConfigError(
                "an RPN proposes boxes without categories: train a Fast R-CNN on them "
                "(conf/detectors/fast_rcnn.yaml), or ask it for proposals"
            )
        if not self.wants_proposals:
            proposals = None
        elif proposals is None and self.proposer is None:
            raise ConfigError(
                "a Fast R-CNN needs proposals: open it with the RPN that it was trained on, or "
                "give a proposals file"
            )
        given = proposals if proposals is not None else [None] * len(canvases)
        return self._detecting(list(zip(canvases, given, strict=True)))

    def propose(self, canvases: Sequence[Canvas]) -> list[Proposals]:
        """Where the RPN, the model or a Fast R-CNN's proposer, sees objects; canvases as above."""
        if not self.is_proposer and self.proposer is None:
            raise ConfigError(f"{self.architecture}: wanted an RPN to propose boxes")
        return self._proposing(canvases)

    def _propose_together(self, canvases: Sequence[Canvas]) -> list[Proposals]:
        network = self.model if self.is_proposer else self.proposer
        return [
            Proposals(
                boxes=_upright(instances.proposal_boxes.tensor, canvas),
                scores=torch.sigmoid(instances.objectness_logits).cpu().numpy(),
            )
            for instances, canvas in zip(
                _propose(network, canvases, self.device), canvases, strict=True
            )
        ]

    @torch.inference_mode()
    def _detect_together(
        self, batch: Sequence[tuple[Canvas, Proposals | None]]
    ) -> list[Detections]:
        canvases = [canvas for canvas, _ in batch]
        if not canvases:
            return []
        if self.architecture == "GeneralizedRCNN":
            given = None
            if self.wants_proposals:
                given = [_on_canvas(p, c, self.device) for c, p in batch if p is not None]
                assert len(given) in (0, len(batch)), "proposals for all of a batch, or for none"
                given = given or _propose(self.proposer, canvases, self.device)
            found = self._rcnn(canvases, given)
        else:
            inputs = _inputs(canvases, self.device)
            found = [output["instances"] for output in self.model(inputs)]
        return [self._detections(f, canvas) for f, canvas in zip(found, canvases, strict=True)]

    def _rcnn(
        self, canvases: Sequence[Canvas], proposals: list[Instances] | None
    ) -> list[Instances]:
        """`GeneralizedRCNN.inference` from canvases, which go to the device all at once.

        Detectron2 moves, normalizes and pads each picture by itself, and its post-processing,
        left out here, pastes every mask on a whole canvas.
        """
        images = laid_out(canvases, self.model.pixel_mean, self.model.pixel_std, self.device)
        features = self.model.backbone(images.tensor)
        if proposals is None:
            proposals, _ = self.model.proposal_generator(images, features, None)
        found: list[Instances]
        found, _ = self.model.roi_heads(images, features, proposals, None)
        return found

    def _classes(self) -> int:
        heads = self.model if self.architecture == "RetinaNet" else self.model.roi_heads
        return int(heads.num_classes)

    def _detections(self, instances: Instances, canvas: Canvas) -> Detections:
        # A GPU has better to do than to suppress a few boxes of one image after another.
        instances = instances.to("cpu")
        # Class-agnostic: Detectron2's own suppression keeps jeans and trousers of one garment.
        one_class = torch.zeros_like(instances.pred_classes)
        keep = batched_nms(instances.pred_boxes.tensor, instances.scores, one_class, DUPLICATE_IOU)
        class_scores = class_scores_of(instances, keep, self._classes())
        instances = instances[keep]
        instances.class_scores = class_scores
        # Thresholds after that: what a better box of another category covers must not come back
        # because that category's threshold is higher.
        least = torch.tensor([self.threshold(k) for k in instances.pred_classes.tolist()])
        instances = instances[instances.scores >= least][: self.max_garments]
        boxes = _upright(instances.pred_boxes.tensor, canvas)
        visible = (boxes[:, 2] - boxes[:, 0] >= 1) & (boxes[:, 3] - boxes[:, 1] >= 1)
        masks = instances.pred_masks[:, 0].numpy() if instances.has("pred_masks") else None
        return Detections(
            boxes=boxes[visible],
            scores=instances.scores.numpy()[visible],
            classes=instances.pred_classes.numpy()[visible],
            class_scores=instances.class_scores.float().numpy()[visible],
            masks=None if masks is None else masks[visible],
        )


def open_detector(
    folder: str | Path,
    device: torch.device,
    *,
    score_threshold: float = 0.05,
    max_garments: int = 20,
) -> Detector:
    """The detector that a training wrote to ``folder``: detector.yaml, detector.safetensors.

    A Fast R-CNN's folder also holds the RPN that proposes for it, as proposer.yaml and
    proposer.safetensors. Raises `ConfigError` or `BundleError` for what is missing or broken.
    """
    folder = Path(folder)
    cfg = read_detector_config(folder / "detector.yaml")
    model = build_detector(cfg)
    load_weights(model, folder / "detector.safetensors")
    proposer = None
    if (folder / "proposer.yaml").is_file():
        proposer = open_proposer(folder / "proposer.yaml", folder / "proposer.safetensors")
    return Detector(
        model,
        longest_side=cfg.INPUT.MAX_SIZE_TEST,
        score_threshold=score_threshold,
        max_garments=max_garments,
        device=device,
        proposer=proposer,
    )


def open_proposer(config: str | Path, weights: str | Path) -> nn.Module:
    """The RPN of a YAML and its safetensors; raises `ConfigError` when it is something else."""
    cfg = read_detector_config(config)
    if cfg.MODEL.META_ARCHITECTURE != "ProposalNetwork":
        raise ConfigError(
            f"proposer {config}: got a {cfg.MODEL.META_ARCHITECTURE}, wanted an RPN "
            "(MODEL.META_ARCHITECTURE: ProposalNetwork)"
        )
    proposer = build_detector(cfg)
    load_weights(proposer, weights)
    return proposer


def count_parameters(*models: nn.Module | None) -> int:
    """Weights of all the models together."""
    return sum(p.numel() for model in models if model is not None for p in model.parameters())


def _ready(model: nn.Module, device: torch.device) -> Any:
    return model.eval().to(device).to(memory_format=torch.channels_last)


def _inputs(canvases: Sequence[Canvas], device: torch.device) -> list[dict[str, Any]]:
    # The pictures, not the canvases: Detectron2 pads them to the same canvas, and clips boxes to
    # what it was given.
    return [{"image": canvas.picture.to(device)} for canvas in canvases]


def laid_out(
    canvases: Sequence[Canvas], mean: torch.Tensor, std: torch.Tensor, device: torch.device
) -> ImageList:
    """Canvases of one shape as Detectron2's `preprocess_image` lays out pictures: zeros beside."""
    tensor = torch.stack([canvas.pixels for canvas in canvases]).to(device)
    tensor = (tensor - mean) / std
    sizes = [canvas.scaled for canvas in canvases]
    height, width = torch.tensor(sizes, device=device).T[:, :, None, None]
    rows = torch.arange(tensor.shape[2], device=device)[:, None] < height
    columns = torch.arange(tensor.shape[3], device=device) < width
    return ImageList(tensor * (rows & columns)[:, None], sizes)


@torch.inference_mode()
def _propose(
    network: Any, canvases: Sequence[Canvas], device: torch.device
) -> list[Instances]:
    """Proposals of an RPN in pixels of the canvas, best first."""
    if not canvases:
        return []
    outputs = network(_inputs(canvases, device))
    return [output["proposals"][:PROPOSALS_PER_IMAGE] for output in outputs]


def _upright(boxes: torch.Tensor, canvas: Canvas) -> np.ndarray:
    """Boxes (N, 4) of a canvas in pixels of the upright image, float32, clipped to it."""
    return clip_boxes(boxes.cpu().numpy() * canvas.zoom, *canvas.original)


def _on_canvas(proposals: Proposals, canvas: Canvas, device: torch.device) -> Instances:
    instances = Instances(canvas.scaled)
    boxes = torch.from_numpy((proposals.boxes / canvas.zoom).astype(np.float32))
    instances.proposal_boxes = Boxes(boxes)
    instances.objectness_logits = torch.from_numpy(proposals.logits)
    return instances.to(device)

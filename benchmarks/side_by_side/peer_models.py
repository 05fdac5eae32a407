"""The bundle's weights as Detectron2's and fastai's own classes run them, an image at a time.

The rules after the models (which of two overlapping boxes stays, thresholds, what the classifier is
shown, how both decide together) are the bundle's; only with them can outputs be compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.engine import DefaultPredictor
from detectron2.layers import batched_nms
from fastai.callback import progress  # noqa: F401  (gives Learner no_bar)
from fastai.data.block import DataBlock, MultiCategoryBlock
from fastai.data.transforms import IndexSplitter, Normalize
from fastai.learner import Learner
from fastai.vision.core import PILImage
from fastai.vision.data import ImageBlock
from torch import nn

from jeans_udf.bundle import Bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.errors import ConfigError
from jeans_udf.geometry import cutout, encode_rle
from jeans_udf.loading import load_combination
from jeans_udf.models.attributes import decide
from jeans_udf.models.class_scores import class_scores_of, keep_class_scores
from jeans_udf.models.classifier import build_classifier
from jeans_udf.models.detector import DUPLICATE_IOU
from jeans_udf.models.detector_config import load_weights, read_detector_config
from jeans_udf.models.mirrored import Mirrored
from jeans_udf.models.outputs import group_probabilities, output_names
from jeans_udf.models.resizing import resize_as_fastai
from jeans_udf.models.views import cut_view, fit_square
from jeans_udf.png import encode_png_rgba
from jeans_udf.thresholds import detection_thresholds, final_thresholds


class PeerModels:
    """A `DefaultPredictor` and a fastai `Learner` of one bundle, on the CPU."""

    def __init__(self, bundle: Bundle, config: TaggingConfig, weights: Path) -> None:
        self.bundle, self.vocabulary = bundle, bundle.vocabulary
        self.spec = bundle.manifest.classifier
        self.max_garments = config.detection.max_garments
        self.predictor = open_predictor(bundle, weights)
        self.learner = open_learner(bundle)
        self.combination = load_combination(bundle)
        self.shown = list(detection_thresholds(bundle, config).values())
        self.thresholds = final_thresholds(bundle, config)

    def garments(self, pixels: np.ndarray) -> list[dict[str, Any]]:
        """Garments of ``pixels (H, W, 3) uint8`` RGB as `passes.GARMENT`, best score first."""
        # DefaultPredictor takes BGR, as OpenCV reads it.
        instances = self.predictor(pixels[:, :, ::-1])["instances"]
        found = [self._garment(pixels, one) for one in self._chosen(instances)]
        kept = [one for one in found if one["score"] >= self.thresholds[one["category"]]]
        kept.sort(key=lambda one: -one["score"])
        for one in kept:
            one["crop"] = encode_png_rgba(cutout(pixels, one.pop("mask"), np.array(one["box"])))
        return kept

    def _chosen(self, instances: Any) -> list[dict[str, Any]]:
        """Detections after the bundle's suppression and thresholds."""
        boxes, scores = instances.pred_boxes.tensor, instances.scores
        keep = batched_nms(boxes, scores, torch.zeros_like(instances.pred_classes), DUPLICATE_IOU)
        class_scores = class_scores_of(instances, keep, len(self.vocabulary.categories)).numpy()
        one_each = instances[keep]
        masks = one_each.pred_masks.numpy() if one_each.has("pred_masks") else None
        found: list[dict[str, Any]] = []
        for i, kind in enumerate(one_each.pred_classes.tolist()):
            if float(one_each.scores[i]) < self.shown[kind] or len(found) == self.max_garments:
                continue
            box = one_each.pred_boxes.tensor[i].numpy()
            if (box[2:] - box[:2]).min() < 1:
                continue
            mask = masks[i] if masks is not None and masks[i].any() else None
            found.append({"kind": kind, "score": float(one_each.scores[i]), "box": box,
                          "mask": mask, "class_scores": class_scores[i]})  # fmt: skip
        return found

    def _garment(self, pixels: np.ndarray, one: dict[str, Any]) -> dict[str, Any]:
        view = cut_view(pixels, one["mask"], one["box"], self.spec.view)
        crop = PILImage.create(fit_square(view, self.spec.size))
        with self.learner.no_bar():
            _, _, chances = self.learner.predict(crop)
        values = chances.numpy()
        labels = len(self.vocabulary.labels)
        category, score = self.vocabulary.categories[one["kind"]], one["score"]
        if self.combination is not None:
            best, chance = self.combination.decide(one["class_scores"][None], values[None, labels:])
            category, score = self.vocabulary.categories[int(best[0])], float(chance[0])
        elif self.spec.verdict:
            score *= float(1 - values[labels])
        attributes = decide(values[:labels], category, self.vocabulary, self.spec.thresholds)
        rle = None if one["mask"] is None else encode_rle(one["mask"])
        return {
            "category": category, "score": score, "labels": attributes.labels,
            "box": one["box"].tolist(), "mask": one["mask"],
            "mask_height": rle and rle["size"][0], "mask_width": rle and rle["size"][1],
            "mask_counts": rle and rle["counts"],
        }  # fmt: skip


def open_predictor(bundle: Bundle, weights: Path) -> DefaultPredictor:
    """Detectron2's predictor, whose resizing gives the size of the product's canvases.

    Raises `ConfigError` for a Fast R-CNN: nothing proposes boxes to a `DefaultPredictor`.
    """
    spec = bundle.manifest.detector
    if spec.proposer_config:
        raise ConfigError("default_predictor: DefaultPredictor cannot run a Fast R-CNN's bundle")
    cfg = read_detector_config(bundle.path(spec.config))
    cfg.MODEL.WEIGHTS = str(weights)
    # No shorter side is below it, so that the longer one alone decides: it gets MAX_SIZE_TEST.
    cfg.INPUT.MIN_SIZE_TEST = cfg.INPUT.MAX_SIZE_TEST
    predictor = DefaultPredictor(cfg)
    if predictor.model.__class__.__name__ == "GeneralizedRCNN":
        keep_class_scores(predictor.model.roi_heads.box_predictor)
    return predictor


class BundleLoss(nn.BCEWithLogitsLoss):
    """The loss of a learner, which tells fastai how logits become chances."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self.vocabulary, self.spec = bundle.vocabulary, bundle.manifest.classifier

    def activation(self, logits: torch.Tensor) -> torch.Tensor:
        return group_probabilities(
            torch.as_tensor(logits), self.vocabulary, self.spec.scores, self.spec.temperatures
        )

    def decodes(self, chances: torch.Tensor) -> torch.Tensor:
        return chances > 0.5


class Sized(nn.Module):
    """A network behind the resizing that the bundle asks for."""

    def __init__(self, net: nn.Module, size: int) -> None:
        super().__init__()
        self.net, self.size = net, size

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        if pictures.shape[-1] != self.size:
            pictures = resize_as_fastai(pictures, self.size)
        outputs: torch.Tensor = self.net(pictures)
        return outputs


def open_learner(bundle: Bundle) -> Learner:
    """A fastai learner with the bundle's classifier, as if it had been trained there."""
    spec, names = bundle.manifest.classifier, output_names(
        bundle.vocabulary, verdict=bundle.manifest.classifier.verdict
    )  # fmt: skip
    net = build_classifier(spec.backbone, bundle.vocabulary, head=spec.head, verdict=spec.verdict)
    load_weights(net, bundle.path(spec.weights))
    block = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock(vocab=list(names))),
        get_y=lambda _: list(names[:1]),
        splitter=IndexSplitter([1]),
        batch_tfms=[Normalize.from_stats(spec.mean, spec.std, cuda=False)],
    )
    # Two grey pictures: fastai makes its transforms of data, and predict needs no other.
    grey = np.full((spec.size, spec.size, 3), 127, dtype=np.uint8)
    loaders = block.dataloaders([grey, grey], bs=1, num_workers=0, device=torch.device("cpu"))
    net = Mirrored(net) if spec.mirrored else net
    model = Sized(net, spec.input_size or spec.size).eval()
    return Learner(loaders, model, loss_func=BundleLoss(bundle))

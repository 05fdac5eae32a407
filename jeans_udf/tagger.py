"""The pass over the pixels: decode, detect, crop, classify, encode; images in, rows out; no Spark.

Rows have the fields of `schemas.staged_schema`. Device batches are formed from equal canvases by
pixels, whatever the batches in which images arrive. Decoding runs ahead of the device on threads,
encoding of crops and masks behind it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from jeans_udf.ahead import DecodeAhead, Decoded
from jeans_udf.bundle import Bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.errors import Rejected
from jeans_udf.models.classifier import Classifier, Judged, build_classifier
from jeans_udf.models.combination import Combination
from jeans_udf.models.detections import Detections
from jeans_udf.models.detector import Detector, open_proposer
from jeans_udf.models.detector_config import build_detector, load_weights, read_detector_config
from jeans_udf.models.folding import folded
from jeans_udf.models.halving import Halving
from jeans_udf.rows import Found, Row, rejected_row, tagged_row
from jeans_udf.source_image import SourceImage


class Tagger:
    """Models on a device, and the pass over images. One a Python worker."""

    def __init__(self, bundle: Bundle, config: TaggingConfig, device: torch.device) -> None:
        self.vocabulary = bundle.vocabulary
        self.model_version = bundle.model_version
        self.config = config
        self.detector = load_detector(bundle, config, device)
        self.classifier = load_classifier(bundle, device)
        self.combination = load_combination(bundle)
        self.thresholds = final_thresholds(bundle, config)
        self._judge_together: Halving[Found, Judged] = Halving(
            lambda garments: self.classifier.judge([garment.square for garment in garments])
        )

    def tag(self, images: Iterable[SourceImage]) -> Iterator[Row]:
        """One row an image; the order may differ from the source's."""
        decoding = self.config.decoding
        ahead = DecodeAhead(
            self.detector.prepare,
            self.config.images,
            threads=decoding.threads,
            ahead_bytes=decoding.ahead_bytes,
        )
        pending: deque[Future[Row]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="encode") as behind:
            for batch in self._batches(ahead(images)):
                pending.extend(self._run(batch, behind))
                # Two device batches may wait for their encoding; more would only fill memory.
                while len(pending) > 2 * max(1, len(batch)):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _batches(self, decoded: Iterable[Decoded]) -> Iterator[list[Decoded]]:
        """Groups of equal canvases of at most ``device.batch_pixels``; rejected images apart."""
        buckets: dict[tuple[int, int], list[Decoded]] = {}
        waiting = 0
        for image in decoded:
            if image.canvas is None:
                yield [image]
                continue
            shape = image.canvas.shape
            bucket = buckets.setdefault(shape, [])
            bucket.append(image)
            waiting += image.waiting_bytes
            full = (len(bucket) + 1) * shape[0] * shape[1] > self.config.device.batch_pixels
            if not full and waiting > self.config.decoding.ahead_bytes:
                shape = max(buckets, key=lambda key: len(buckets[key]))
                full = True
            if full:
                ready = buckets.pop(shape)
                waiting -= sum(item.waiting_bytes for item in ready)
                yield ready
        yield from buckets.values()

    def _run(self, batch: list[Decoded], behind: ThreadPoolExecutor) -> list[Future[Row]]:
        if batch[0].rejected is not None:
            return [behind.submit(rejected_row, image) for image in batch]
        try:
            return self._tag_batch(batch, behind)
        except Exception as error:
            if len(batch) > 1:
                # One image that a model fails on: halved until it is alone, the others go through.
                middle = len(batch) // 2
                return self._run(batch[:middle], behind) + self._run(batch[middle:], behind)
            failed = Rejected("model_error", f"{type(error).__name__}: {str(error)[:200]}")
            return [behind.submit(rejected_row, batch[0], failed)]

    def _tag_batch(self, batch: list[Decoded], behind: ThreadPoolExecutor) -> list[Future[Row]]:
        start = time.perf_counter()
        canvases = [image.canvas for image in batch if image.canvas is not None]
        detections = self.detector.detect(canvases)
        detected = time.perf_counter()
        found = []
        for image, of_image in zip(batch, detections, strict=True):
            assert image.pixels is not None
            found.append(self.cut(image.pixels, of_image))
        self.classify([garment for garments in found for garment in garments])
        found = [self.kept(garments) for garments in found]
        seconds = {
            "detect": (detected - start) / len(batch),
            "classify": (time.perf_counter() - detected) / len(batch),
        }
        return [
            behind.submit(tagged_row, image, garments, self.model_version, self.vocabulary, seconds)
            for image, garments in zip(batch, found, strict=True)
        ]

    def look(self, image: np.ndarray) -> list[Found]:
        """Every detection of ``image (H, W, 3) uint8`` RGB, judged, whatever its score."""
        garments = self.cut(image, self.detector.detect([self.detector.prepare(image)])[0])
        self.classify(garments)
        return garments

    def cut(self, image: np.ndarray, detections: Detections) -> list[Found]:
        """The garments of ``image``: cut from its own pixels, nothing is decoded again."""
        masks = detections.full_masks(*image.shape[:2])
        garments = []
        for index in range(len(detections)):
            mask = masks[index] if masks is not None and masks[index].any() else None
            garments.append(
                Found(
                    number=index,
                    category=self.vocabulary.categories[int(detections.classes[index])],
                    score=float(detections.scores[index]),
                    class_scores=detections.class_scores[index],
                    box=detections.boxes[index],
                    mask=mask,
                    square=self.classifier.prepare(image, mask, detections.boxes[index]),
                )
            )
        return garments

    def classify(self, garments: Sequence[Found]) -> None:
        """Give each garment the category, score and attributes that both models agree on."""
        size = self.config.device.crops_per_batch
        for start in range(0, len(garments), size):
            chunk = garments[start : start + size]
            for garment, judged in zip(chunk, self._judge_together(chunk), strict=True):
                self._settle(garment, judged)

    def _settle(self, garment: Found, judged: Judged) -> None:
        """Category and score of both models together, and the attributes of that category."""
        garment.verdict = verdict = judged.verdict
        if self.combination is not None and verdict is not None:
            best, chance = self.combination.decide(garment.class_scores[None], verdict[None])
            garment.category = self.vocabulary.categories[int(best[0])]
            garment.score = float(chance[0])
        elif verdict is not None:
            # The detector's score, times the chance that the crop shows a garment: skirts
            # and shirts look like garments of ours until they are seen alone and larger.
            garment.score *= float(1 - verdict[0])
        garment.attributes = self.classifier.decide(judged, garment.category)

    def kept(self, garments: list[Found]) -> list[Found]:
        """Those that stay above the threshold, numbered best first."""
        kept = [g for g in garments if g.score >= self.thresholds[g.category]]
        kept.sort(key=lambda garment: -garment.score)
        for number, garment in enumerate(kept):
            garment.number = number
        return kept


def load_detector(bundle: Bundle, config: TaggingConfig, device: torch.device) -> Detector:
    """The bundle's detector on ``device``."""
    spec = bundle.manifest.detector
    cfg = read_detector_config(bundle.path(spec.config))
    model = build_detector(cfg)
    load_weights(model, bundle.path(spec.weights))
    backbone: Any = model.backbone
    if hasattr(backbone, "bottom_up"):
        backbone.bottom_up = folded(backbone.bottom_up)
    proposer = None
    if spec.proposer_config and spec.proposer_weights:
        proposer = open_proposer(
            bundle.path(spec.proposer_config), bundle.path(spec.proposer_weights)
        )
    thresholds = final_thresholds(bundle, config)
    combination = bundle.manifest.combination
    if combination is not None:
        # What the detector alone is less sure of may still be kept.
        thresholds = dict.fromkeys(thresholds, min(combination.least_score, *thresholds.values()))
    return Detector(
        model,
        longest_side=cfg.INPUT.MAX_SIZE_TEST,
        score_threshold=min(thresholds.values()),
        category_thresholds=dict(enumerate(thresholds.values())),
        max_garments=config.detection.max_garments,
        device=device,
        proposer=proposer,
    )


def load_combination(bundle: Bundle) -> Combination | None:
    """How the bundle's two models decide together; None where the detector decides alone."""
    spec = bundle.manifest.combination
    if spec is None or not bundle.manifest.classifier.verdict:
        return None
    return Combination(spec.detector, spec.classifier, spec.none_bias)


def final_thresholds(bundle: Bundle, config: TaggingConfig) -> dict[str, float]:
    """Category -> least score of a garment in the tables, in the vocabulary's order."""
    spec, given = bundle.manifest.detector, config.detection.score_threshold
    own = {} if given is not None else spec.category_thresholds
    common = spec.score_threshold if given is None else given
    return {name: own.get(name, common) for name in bundle.vocabulary.categories}


def load_classifier(bundle: Bundle, device: torch.device) -> Classifier:
    """The bundle's classifier on ``device``."""
    spec = bundle.manifest.classifier
    model = build_classifier(
        spec.backbone, bundle.vocabulary, head=spec.head, verdict=spec.verdict
    )
    load_weights(model, bundle.path(spec.weights))
    return Classifier(
        folded(model),
        bundle.vocabulary,
        view=spec.view,
        size=spec.size,
        input_size=spec.input_size,
        mirrored=spec.mirrored,
        mean=spec.mean,
        std=spec.std,
        temperatures=spec.temperatures,
        thresholds=spec.thresholds,
        device=device,
        verdict=spec.verdict,
        scoring=spec.scores,
    )

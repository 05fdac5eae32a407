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

import numpy as np
import torch

from jeans_udf.ahead import DecodeAhead, Decoded
from jeans_udf.bundle import Bundle
from jeans_udf.config import TaggingConfig
from jeans_udf.cutting import cut, cut_known
from jeans_udf.devices import BATCHES
from jeans_udf.engines.plain import LEAST_ROWS
from jeans_udf.engines.registry import open_engine
from jeans_udf.errors import Rejected
from jeans_udf.loading import load_classifier, load_combination, load_detector
from jeans_udf.models.classifier import Judged
from jeans_udf.models.detections import Detections
from jeans_udf.models.halving import Halving
from jeans_udf.rows import Found, Row, rejected_row, tagged_row
from jeans_udf.source_image import Known, SourceImage
from jeans_udf.thresholds import final_thresholds


def is_of_device(error: Exception, alone: bool) -> bool:
    """Whether ``error`` is the accelerator's and no image's; ``alone``: of a batch of one image.

    Memory that does not do for one image does for none: canvases are of one size, and crops come
    in batches. A larger batch is halved first.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return alone
    kinds = getattr(torch, "AcceleratorError", ())  # torch 2.8 and later
    return isinstance(error, kinds) or "CUDA error" in str(error)


class Tagger:
    """Models on a device, and the pass over images. One a Python worker."""

    def __init__(self, bundle: Bundle, config: TaggingConfig, device: torch.device) -> None:
        self.device = device
        self.vocabulary = bundle.vocabulary
        self.model_version = bundle.model_version
        self.config = config
        engine = open_engine(
            config.device.engine,
            device,
            model_sha256=bundle.manifest_sha256,
            threads=config.device.threads or torch.get_num_threads(),
            precision=config.device.precision,
        )
        self.detector = load_detector(bundle, config, device, engine)
        self.classifier = load_classifier(bundle, device, engine)
        self.combination = load_combination(bundle)
        self.thresholds = final_thresholds(bundle, config)
        pixels, crops = BATCHES[device.type]
        self.batch_pixels = config.device.batch_pixels or pixels
        self.crops_per_batch = config.device.crops_per_batch or crops
        self._judge_together: Halving[Found, Judged] = Halving(
            lambda garments: self.classifier.judge([garment.square for garment in garments])
        )

    def tag(self, images: Iterable[SourceImage]) -> Iterator[Row]:
        """One row an image; the order may differ from the source's."""
        ahead = self.decode_ahead()
        pending: deque[Future[Row]] = deque()
        with ThreadPoolExecutor(1, thread_name_prefix="encode") as behind:
            for batch in self._batches(ahead(images)):
                pending.extend(self._run(batch, behind))
                # Two device batches may wait for their encoding; more would only fill memory.
                while len(pending) > 2 * max(1, len(batch)):
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def decode_ahead(self) -> DecodeAhead:
        """The images' way to the models' canvases."""
        decoding = self.config.decoding
        return DecodeAhead(
            self.detector.prepare,
            self.config.images,
            threads=decoding.threads,
            ahead_bytes=decoding.ahead_bytes,
            # Never fewer pixels than the detector's canvas has.
            longest=decoding.longest_side and max(
                decoding.longest_side, self.detector.longest_side
            ),
        )

    def images_at_once(self, shape: tuple[int, int]) -> int:
        """Canvases of ``shape`` (height, width) in a full device batch."""
        most = max(1, self.batch_pixels // (shape[0] * shape[1]))
        # On a GPU the engine fills batches up to powers of two, small ones to LEAST_ROWS.
        if self.device.type == "cpu" or most < LEAST_ROWS:
            return most
        return 1 << (most.bit_length() - 1)

    def _batches(self, decoded: Iterable[Decoded]) -> Iterator[list[Decoded]]:
        """Groups of equal canvases of at most ``batch_pixels``; rejected images apart."""
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
            full = len(bucket) >= self.images_at_once(shape)
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
            if self.device.type != "cpu" and is_of_device(error, alone=len(batch) == 1):
                # After it every image would fail: the task ends, and is tried again elsewhere.
                raise
            if len(batch) > 1:
                # One image that a model fails on: halved until it is alone, the others go through.
                middle = len(batch) // 2
                return self._run(batch[:middle], behind) + self._run(batch[middle:], behind)
            failed = Rejected("model_error", f"{type(error).__name__}: {str(error)[:200]}")
            return [behind.submit(rejected_row, batch[0], failed)]

    def _tag_batch(self, batch: list[Decoded], behind: ThreadPoolExecutor) -> list[Future[Row]]:
        start = time.perf_counter()
        known = [image.recall() for image in batch]
        canvases = [image.canvas for image, recalled in zip(batch, known, strict=True)
                    if recalled is None and image.canvas is not None]  # fmt: skip
        detections = iter(self.detector.detect(canvases))
        detected = time.perf_counter()
        found = []
        for image, recalled in zip(batch, known, strict=True):
            assert image.pixels is not None and image.canvas is not None
            original = image.canvas.original
            if recalled is None:
                found.append(self.cut(image.pixels, next(detections), original))
            else:
                found.append(self.cut_again(image.pixels, recalled, original))
        self.classify([garment for garments in found for garment in garments])
        everything = [None if recalled is not None else list(garments)
                      for recalled, garments in zip(known, found, strict=True)]  # fmt: skip
        found = [self.kept(garments) for garments in found]
        seconds = {
            "detect": (detected - start) / len(batch),
            "classify": (time.perf_counter() - detected) / len(batch),
        }
        return [
            behind.submit(tagged_row, image, garments, self.model_version, self.vocabulary, seconds,
                          detected=everything[index])
            for index, (image, garments) in enumerate(zip(batch, found, strict=True))
        ]

    def look(self, image: np.ndarray) -> list[Found]:
        """Every detection of ``image (H, W, 3) uint8`` RGB, judged, whatever its score."""
        garments = self.cut(image, self.detector.detect([self.detector.prepare(image)])[0])
        self.classify(garments)
        return garments

    def cut(
        self, image: np.ndarray, detections: Detections, original: tuple[int, int] | None = None
    ) -> list[Found]:
        """The garments of ``image``: cut from its own pixels, nothing is decoded again.

        ``original`` is the upright image's (height, width) where ``image`` shows it reduced.
        """
        size = original or image.shape[:2]
        return cut(image, size, detections, self.vocabulary, self.classifier.prepare)

    def cut_again(
        self, image: np.ndarray, known: Sequence[Known], original: tuple[int, int] | None = None
    ) -> list[Found]:
        """The garments of ``image`` that a run with the same detector has found before."""
        size = original or image.shape[:2]
        return cut_known(image, size, known, self.vocabulary, self.classifier.prepare)

    def classify(self, garments: Sequence[Found]) -> None:
        """Give each garment the category, score and attributes that both models agree on."""
        size = self.crops_per_batch
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

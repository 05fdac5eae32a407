"""Photos through a detector, or through a bundle's whole pass, as COCO result rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from jeans_udf.errors import ConfigError, Rejected
from jeans_udf.evaluation.detection import average_precision, coco_truth, tagged_negatives
from jeans_udf.evaluation.proposals import proposal_figures, proposal_rows
from jeans_udf.geometry import encode_rle
from jeans_udf.models.canvas import Canvas
from jeans_udf.models.detections import Detections, Proposals
from jeans_udf.models.detector import Detector
from jeans_udf.source_image import SourceImage
from jeans_udf.tagger import Tagger
from jeans_udf.training.coco import Photo

Tell = Callable[[int], None]
"""Called with the number of photos that are done."""


def evaluate_detector(
    model: nn.Module,
    photos: Sequence[Photo],
    categories: Sequence[str],
    longest_side: int,
    device: torch.device,
    *,
    proposer: nn.Module | None = None,
) -> dict[str, Any]:
    """COCO box and mask AP on ``photos``, and how often photos without garments get one.

    Of a proposal network: ``proposals`` (see `proposal_figures`), and as ``bbox`` the AP of its
    proposals whatever the category.
    """
    training = model.training
    detector = Detector(model, longest_side=longest_side, score_threshold=0.05, max_garments=20,
                        device=device, proposer=proposer)  # fmt: skip
    truth = coco_truth(photos, categories)
    metrics: dict[str, Any] = {"photos": len(photos)}
    if detector.is_proposer:
        results = proposal_rows(propose_photos(detector, photos))
        metrics["proposals"] = proposal_figures(truth, results)
        metrics["bbox"] = average_precision(_one_category(truth), results, "bbox")
        metrics["segm"] = None
    else:
        results = detector_rows(detector, photos)
        masked = [row for row in results if "segmentation" in row]
        metrics["bbox"] = average_precision(truth, results, "bbox")
        metrics["segm"] = average_precision(truth, masked, "segm") if masked else None
    model.train(training)
    metrics["tagged_negatives"] = {
        str(t): tagged_negatives(photos, results, t) for t in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    }
    return metrics


def detector_rows(
    detector: Detector,
    photos: Sequence[Photo],
    *,
    proposals: Mapping[int, Proposals] | None = None,
    tell: Tell | None = None,
) -> list[dict[str, Any]]:
    """COCO result rows of every photo; ``proposals`` by COCO id for a detector that needs them.

    Raises `ConfigError` for a photo that cannot be read or is of another size than annotated.
    """
    rows = []
    for done, (photo, canvas) in enumerate(_canvases(detector, photos), start=1):
        given = None if proposals is None else [proposals[photo.coco_id]]
        found = detector.detect([canvas], given)[0]
        rows += _detection_rows(photo.coco_id, found, canvas)
        if tell:
            tell(done)
    return rows


def propose_photos(
    detector: Detector, photos: Sequence[Photo], *, tell: Tell | None = None
) -> dict[int, Proposals]:
    """A proposal network's proposals by COCO id; raises as `detector_rows`."""
    proposals = {}
    for done, (photo, canvas) in enumerate(_canvases(detector, photos), start=1):
        proposals[photo.coco_id] = detector.propose([canvas])[0]
        if tell:
            tell(done)
    return proposals


def tagger_rows(
    tagger: Tagger, photos: Sequence[Photo], *, tell: Tell | None = None
) -> list[dict[str, Any]]:
    """COCO result rows of a bundle's whole pass: detector and classifier together.

    Raises `ConfigError` for a photo that the pass rejects or that has another size than annotated.
    """
    by_id = {str(photo.coco_id): photo for photo in photos}
    categories = tagger.vocabulary.categories
    images = (SourceImage(key, None, photo.path.read_bytes(), None) for key, photo in by_id.items())
    rows: list[dict[str, Any]] = []
    for done, row in enumerate(tagger.tag(images), start=1):
        photo = by_id[row["image_id"]]
        if row["status"] == "rejected":
            raise _unreadable(photo, f"{row['reason']}: {row['detail']}")
        _check_size(photo, row["height"], row["width"])
        rows += [_garment_row(photo.coco_id, garment, categories) for garment in row["found"]]
        if tell:
            tell(done)
    return rows


def _canvases(
    detector: Detector, photos: Sequence[Photo]
) -> Iterator[tuple[Photo, Canvas]]:
    for photo in photos:
        canvas = detector.prepare(read_pixels(photo))
        _check_size(photo, *canvas.original)
        yield photo, canvas


def read_pixels(photo: Photo) -> np.ndarray:
    """`Photo.pixels`; raises `ConfigError` for a photo that cannot be read."""
    try:
        return photo.pixels()
    except Rejected as error:
        raise _unreadable(photo, str(error)) from None
    except OSError as error:
        raise _unreadable(photo, str(error.strerror)) from None


def _unreadable(photo: Photo, why: str) -> ConfigError:
    return ConfigError(
        f"photo {photo.path}: cannot be judged ({why}); mend it or take it out of the annotations"
    )


def _check_size(photo: Photo, height: int, width: int) -> None:
    if (height, width) != (photo.height, photo.width):
        raise ConfigError(
            f"photo {photo.path}: upright it is {width}x{height}, its annotations are for "
            f"{photo.width}x{photo.height}; annotate it as it is now"
        )


def _detection_rows(image: int, found: Detections, canvas: Canvas) -> list[dict[str, Any]]:
    masks = found.full_masks(*canvas.original)
    rows = []
    for index, (x1, y1, x2, y2) in enumerate(found.boxes.tolist()):
        row: dict[str, Any] = {
            "image_id": image,
            "category_id": int(found.classes[index]) + 1,
            "score": float(found.scores[index]),
            "bbox": [x1, y1, x2 - x1, y2 - y1],
        }
        if masks is not None:
            row["segmentation"] = encode_rle(masks[index])
        rows.append(row)
    return rows


def _garment_row(
    image: int, garment: Mapping[str, Any], categories: Sequence[str]
) -> dict[str, Any]:
    """A garment as `rows.tagged_row` tells it, as a COCO result."""
    box, mask = garment["box"], garment["mask"]
    row: dict[str, Any] = {
        "image_id": image,
        "category_id": categories.index(garment["category"]) + 1,
        "score": garment["score"],
        "bbox": [box["x_min"], box["y_min"], box["x_max"] - box["x_min"],
                 box["y_max"] - box["y_min"]],
    }  # fmt: skip
    if mask is not None:
        row["segmentation"] = {"size": [mask["height"], mask["width"]], "counts": mask["counts"]}
    return row


def _one_category(truth: dict[str, Any]) -> dict[str, Any]:
    """The truth with every garment in one category, as proposals know it."""
    annotations = [annotation | {"category_id": 1} for annotation in truth["annotations"]]
    return truth | {"annotations": annotations, "categories": [{"id": 1, "name": "any"}]}

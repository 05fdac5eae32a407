"""One detector judged from start to end: photos through it, figures, speed, files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jeans_udf.evaluation.assess import assess, assess_proposals
from jeans_udf.evaluation.detector import (
    Tell,
    detector_rows,
    propose_photos,
    read_pixels,
    tagger_rows,
)
from jeans_udf.evaluation.output import write_assessment, write_proposal_assessment
from jeans_udf.evaluation.proposals import proposal_rows, write_proposals
from jeans_udf.evaluation.speed import PHOTOS, Speed, measure_speed
from jeans_udf.evaluation.subject import Subject
from jeans_udf.evaluation.truth import Truth
from jeans_udf.models.detections import Proposals

Given = Mapping[int, Proposals]
"""Proposals by COCO id, for a detector that was trained on a file of them."""


def judge(
    subject: Subject,
    truth: Truth,
    folder: Path,
    output: Path,
    *,
    proposals: Given | None = None,
    with_speed: bool = True,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """Run ``truth``'s photos, which lie in ``folder``, and write ``output``; returns its metrics.

    A proposal network is judged by its recall, and its proposals are written to
    ``proposals.parquet``; everything else by what it detects. Raises `ConfigError` for a photo
    that cannot be read or is of another size than annotated.
    """
    output.mkdir(parents=True, exist_ok=True)
    detector = subject.detector
    if detector.is_proposer:
        found = propose_photos(detector, truth.photos, tell=tell)
        names = {photo.coco_id: photo.path.relative_to(folder).as_posix() for photo in truth.photos}
        write_proposals({names[k]: each for k, each in found.items()}, output / "proposals.parquet")
        figures, recall = assess_proposals(truth, proposal_rows(found))
        speed = speed_of(subject, truth) if with_speed else None
        return write_proposal_assessment(output, subject, truth, figures, recall, speed)
    if subject.tagger is not None:
        rows = tagger_rows(subject.tagger, truth.photos, tell=tell)
    else:
        rows = detector_rows(detector, truth.photos, proposals=proposals, tell=tell)
    speed = speed_of(subject, truth, proposals) if with_speed else None
    return write_assessment(output, subject, truth, assess(truth, rows, subject.thresholds), speed)


def speed_of(subject: Subject, truth: Truth, proposals: Given | None = None) -> Speed:
    """Photos a second of the detector alone, on some of the photos."""
    detector = subject.detector
    photos = truth.spread(4 * PHOTOS).photos
    canvases = [detector.prepare(read_pixels(photo)) for photo in photos]
    if detector.is_proposer:
        return measure_speed(detector.propose, canvases, detector.device)
    if proposals is None:
        return measure_speed(detector.detect, canvases, detector.device)
    # By identity: a batch is made of the canvases themselves.
    given = {
        id(canvas): proposals[photo.coco_id]
        for canvas, photo in zip(canvases, photos, strict=True)
    }
    return measure_speed(
        lambda batch: detector.detect(batch, [given[id(canvas)] for canvas in batch]),
        canvases,
        detector.device,
    )

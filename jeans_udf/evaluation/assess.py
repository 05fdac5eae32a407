"""Every figure of a detector, from its detections and the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from jeans_udf.evaluation.calibration import Bin, calibration_error, judged_scores, reliability
from jeans_udf.evaluation.confusion import category_figures, confusion, found_figures
from jeans_udf.evaluation.curves import Curve, precision_recall
from jeans_udf.evaluation.detection import (
    Rows,
    coco_figures,
    coco_truth,
    run_coco,
    tagged_negatives,
)
from jeans_udf.evaluation.gallery import Shelf, fill_shelves
from jeans_udf.evaluation.matching import above, match
from jeans_udf.evaluation.proposals import proposal_figures, proposal_recall
from jeans_udf.evaluation.thresholds import Step, best_scores, best_thresholds, sweep
from jeans_udf.evaluation.truth import Truth


@dataclass(frozen=True)
class Assessment:
    """Figures of detections: ``metrics`` for metrics.json, the rest for plots and pictures."""

    metrics: dict[str, Any]
    curves: list[Curve]
    bins: list[Bin]
    steps: list[Step]
    confusion: np.ndarray
    shelves: list[Shelf]


def assess(truth: Truth, results: Rows, thresholds: Mapping[int, float]) -> Assessment:
    """Judge COCO result rows; ``thresholds`` by category id say which of them a user would see."""
    kind = "segm" if any("segmentation" in row for row in results) else "bbox"
    coco = coco_truth(truth.photos, truth.categories, truth.crowds)
    kinds = ("bbox", "segm") if kind == "segm" else ("bbox",)
    arrays = {each: run_coco(coco, _of_kind(results, each), each) for each in kinds}
    everything = match(truth, _of_kind(results, kind), kind, same_category=True)
    scores, right, of_category = judged_scores(everything)
    supports = [
        sum(photo.classes.count(k) for photo in truth.photos) for k in range(len(truth.categories))
    ]
    seen = above(_of_kind(results, kind), thresholds)
    shown = match(truth, seen, kind, same_category=False)
    bins = reliability(scores, right)
    table = confusion(shown, len(truth.categories))
    metrics = {
        "photos": describe(truth),
        "bbox": coco_figures(arrays["bbox"], truth.categories),
        "segm": coco_figures(arrays["segm"], truth.categories) if kind == "segm" else None,
        "any_category": {each: _any_category(coco, results, each) for each in kinds},
        "groups": _groups(truth, results, kinds, thresholds),
        "tagged_negatives": _tagged(truth, results),
        "matched_by": kind,
        "at_thresholds": _at_thresholds(truth, seen, kind, thresholds)
        | {"any_category": found_figures(shown)},
        "best_f1": best_thresholds(scores, right, of_category, supports, truth.categories),
        "confusion": {"categories": list(truth.categories), "table": table.tolist()},
        "calibration": {
            "expected_calibration_error": calibration_error(bins),
            "bins": [asdict(each) for each in bins],
        },
    }
    return Assessment(
        metrics,
        curves=precision_recall(arrays[kind], truth.categories),
        bins=bins,
        steps=sweep(scores, right, truth.garments,
                    best_scores(everything, [p.coco_id for p in truth.negatives])),
        confusion=table,
        shelves=fill_shelves(shown, truth),
    )  # fmt: skip


def assess_proposals(truth: Truth, results: Rows) -> tuple[dict[str, Any], dict[int, Any]]:
    """Metrics of a proposal network, and its recall by how many proposals are taken."""
    coco = coco_truth(truth.photos, truth.categories, truth.crowds)
    metrics: dict[str, Any] = {
        "photos": describe(truth),
        "proposals": proposal_figures(coco, results),
        "groups": {},
        "bbox": None,
        "segm": None,
    }
    for name, part in _parts(truth).items():
        coco_part = coco_truth(part.photos, part.categories, part.crowds)
        figures = proposal_figures(coco_part, _of_part(results, part))
        metrics["groups"][name] = {"photos": describe(part), "proposals": figures}
    return metrics, proposal_recall(coco, results)


def _at_thresholds(
    truth: Truth, seen: Rows, kind: str, thresholds: Mapping[int, float]
) -> dict[str, Any]:
    """Figures of the rows that a user would see."""
    matches = match(truth, seen, kind, same_category=True)
    return {
        "thresholds": {name: thresholds[k] for k, name in enumerate(truth.categories, 1)},
        "categories": category_figures(matches, truth.categories),
        "tagged_negatives": _share_tagged(truth, seen),
    }


def describe(truth: Truth) -> dict[str, Any]:
    """Numbers of photos and garments."""
    garments = Counter(truth.categories[k] for photo in truth.photos for k in photo.classes)
    return {
        "photos": len(truth.photos),
        "without_garments": len(truth.negatives),
        "garments": truth.garments,
        "crowds": len(truth.crowds),
        "garments_by_category": {name: garments[name] for name in truth.categories},
    }


def _groups(
    truth: Truth, results: Rows, kinds: tuple[str, ...], thresholds: Mapping[int, float]
) -> dict[str, Any]:
    groups = {}
    for name, part in _parts(truth).items():
        rows = _of_part(results, part)
        coco = coco_truth(part.photos, part.categories, part.crowds)
        figures: dict[str, Any] = {"photos": describe(part), "any_category": {}}
        for kind in kinds:
            arrays = run_coco(coco, _of_kind(rows, kind), kind)
            figures[kind] = coco_figures(arrays, part.categories)
            figures["any_category"][kind] = _any_category(coco, rows, kind)
        figures["tagged_negatives"] = _tagged(part, rows)
        figures["tagged_negatives_at_thresholds"] = _share_tagged(part, above(rows, thresholds))
        groups[name] = figures
    return groups


def _parts(truth: Truth) -> dict[str, Truth]:
    """The photos of each group, in the order of names."""

    def part(name: str) -> Truth:
        return truth.part(lambda photo: truth.groups.get(photo.coco_id) == name)

    return {name: part(name) for name in sorted(set(truth.groups.values()))}


def _of_part(results: Rows, part: Truth) -> list[dict[str, Any]]:
    ids = {photo.coco_id for photo in part.photos}
    return [row for row in results if row["image_id"] in ids]


def _of_kind(results: Rows, kind: str) -> list[dict[str, Any]]:
    return [row for row in results if kind == "bbox" or "segmentation" in row]


def _any_category(coco: dict[str, Any], results: Rows, kind: str) -> dict[str, float]:
    return coco_figures(run_coco(coco, _of_kind(results, kind), kind, by_category=False))


def _tagged(truth: Truth, results: Rows) -> dict[str, float]:
    """By threshold; NaN without photos that show no garment."""
    rows = list(results)
    return {
        f"{t / 100:.2f}": _share_tagged(truth, [row for row in rows if row["score"] >= t / 100])
        for t in range(5, 100, 5)
    }


def _share_tagged(truth: Truth, rows: Rows) -> float:
    return tagged_negatives(truth.negatives, rows, 0.0) if truth.negatives else float("nan")

"""The files of an evaluation: metrics.json, curves.csv, plots, errors.png, evaluation.html."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jeans_udf.evaluation import charts
from jeans_udf.evaluation.assess import Assessment
from jeans_udf.evaluation.detector import read_pixels
from jeans_udf.evaluation.gallery import MOST, Example, Shelf
from jeans_udf.evaluation.listings import (
    Listing,
    coco_listings,
    figure,
    group_listing,
    percent,
    proposal_listing,
    speed_listing,
    threshold_listing,
)
from jeans_udf.evaluation.page import Page, Plot, Row, Thumbnail, write_page
from jeans_udf.evaluation.paint import TILE_HEIGHT, TILE_WIDTH, Tile, draw_sheet, paint
from jeans_udf.evaluation.speed import Speed
from jeans_udf.evaluation.subject import Subject
from jeans_udf.evaluation.truth import Truth
from jeans_udf.report.page import plain_text
from jeans_udf.report.pictures import Album
from jeans_udf.strict_json import write_json

Tiles = Sequence[tuple[Shelf, Sequence[Tile]]]


def write_assessment(
    output: Path, subject: Subject, truth: Truth, found: Assessment, speed: Speed | None
) -> dict[str, Any]:
    """Write all about a detector to the folder ``output``; returns what metrics.json says."""
    metrics = {"detector": _about(subject), **found.metrics, "speed": speed and speed.as_dict()}
    write_json(output / "metrics.json", metrics)
    _write_curves(output / "curves.csv", found)
    tiles = paint_shelves(found.shelves, truth.categories)
    draw_sheet(tiles, MOST).save(output / "errors.png")
    listings = coco_listings(metrics, truth.categories)
    groups = group_listing(metrics)
    listings += [groups] if groups else []
    listings += [threshold_listing(metrics)]
    listings += [speed_listing(speed)] if speed else []
    masks = metrics["segm"] or {}
    page_tiles = [
        (figure(metrics["bbox"]["AP"]), "box AP"),
        (figure(metrics["bbox"]["AP50"]), "box AP50"),
        (figure(masks.get("AP")), "mask AP"),
        (figure(metrics["any_category"]["bbox"]["AP50"]), "box AP50, any category"),
        (percent(metrics["at_thresholds"]["tagged_negatives"]), "of photos without get one"),
        _speed_tile(speed),
    ]
    page = Page(subject.name, _facts(subject, truth), page_tiles, listings,
                _plots(output, metrics, truth.categories, found), _rows(tiles))  # fmt: skip
    write_page(page, output / "evaluation.html")
    return metrics


def write_proposal_assessment(
    output: Path,
    subject: Subject,
    truth: Truth,
    figures: Mapping[str, Any],
    recall: Mapping[int, Mapping[str, float]],
    speed: Speed | None,
) -> dict[str, Any]:
    """The same of a proposal network: recall instead of precision, no pictures of errors."""
    metrics = {"detector": _about(subject), **figures, "speed": speed and speed.as_dict()}
    write_json(output / "metrics.json", metrics)
    plot = Plot("Recall of proposals", "Garments that a proposal covers, by how many are taken.",
                charts.plot_recall(recall, output / "recall.png"))  # fmt: skip
    listings: list[Listing] = [proposal_listing(metrics)]
    listings += [speed_listing(speed)] if speed else []
    tiles = [(figure(value), name) for name, value in metrics["proposals"].items()
             if name in ("AR@10", "AR@100", "AR50@10", "AR50@100")]  # fmt: skip
    page = Page(subject.name, _facts(subject, truth), [*tiles, _speed_tile(speed)], listings,
                [plot], [])  # fmt: skip
    write_page(page, output / "evaluation.html")
    return metrics


def paint_shelves(shelves: Sequence[Shelf], categories: Sequence[str]) -> Tiles:
    """The shelves' examples drawn; each photo is read again, so that few are held at a time."""
    return [(shelf, [_tile(each, categories) for each in shelf.examples]) for shelf in shelves]


def _tile(example: Example, categories: Sequence[str]) -> Tile:
    photo = example.found.photo
    pixels = read_pixels(photo)
    # The sheet's tiles are of one size, whatever the photo's proportion.
    scale = min(TILE_WIDTH / pixels.shape[1], TILE_HEIGHT / pixels.shape[0])
    return Tile(
        paint(example, pixels, categories),
        paint(example, pixels, categories, side=round(scale * max(pixels.shape[:2]))),
        plain_text(photo.path.name, 80),
        example.text,
    )


def _plots(
    output: Path, metrics: Mapping[str, Any], categories: Sequence[str], found: Assessment
) -> list[Plot]:
    kinds = {name: metrics[kind] for kind, name in (("bbox", "box"), ("segm", "mask"))
             if metrics[kind]}  # fmt: skip
    at = metrics["at_thresholds"]
    error = metrics["calibration"]["expected_calibration_error"]
    return [
        Plot("Average precision by category", "Bars are AP, ticks AP50.",
             charts.plot_categories(kinds, categories, output / "categories.png")),
        Plot("Precision and recall", "Each curve: what share is right when so many are found.",
             charts.plot_curves(found.curves, categories, output / "precision_recall.png")),
        Plot("Thresholds", "What a score threshold keeps, all categories together.",
             charts.plot_thresholds(found.steps, list(at["thresholds"].values()),
                                    output / "thresholds.png")),
        Plot("Confusion", "Garments by what they were detected as, at the model's thresholds.",
             charts.plot_confusion(found.confusion, categories, output / "confusion.png")),
        Plot("Calibration", "Bars below the line: scores promise more than they keep.",
             charts.plot_reliability(found.bins, error, output / "calibration.png")),
    ]  # fmt: skip


def _rows(tiles: Tiles) -> list[Row]:
    album = Album()
    return [
        Row(shelf.key, shelf.title, shelf.lead, shelf.total,
            tuple(Thumbnail(album.photo(t.picture), t.name, t.text) for t in drawn))
        for shelf, drawn in tiles
    ]  # fmt: skip


def _about(subject: Subject) -> dict[str, Any]:
    judged = "detector" if subject.tagger is None else "bundle, the whole pass"
    return {"name": subject.name, "judged": judged, **asdict(subject.about)}


def _facts(subject: Subject, truth: Truth) -> list[tuple[str, str]]:
    about = subject.about
    facts = [
        ("Architecture", f"{about.architecture} on {about.backbone}"),
        ("Parameters", f"{about.parameters / 1e6:.1f} M"),
        ("Input", f"{about.longest_side} pixels"),
        ("Judged", _about(subject)["judged"]),
        ("Photos", f"{len(truth.photos):,}, {len(truth.negatives):,} without garments"),
        ("Garments", f"{truth.garments:,}"),
    ]
    if about.training_seconds is not None:
        facts.append(("Training", f"{about.training_seconds / 3600:.2f} h"))
    return facts


def _speed_tile(speed: Speed | None) -> tuple[str, str]:
    rate = speed.photos_per_second.get(1) if speed else None
    return ("–" if rate is None else f"{rate:.1f}", "photos a second")


def _write_curves(file: Path, found: Assessment) -> None:
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(("category", "iou", "recall", "precision", "score"))
        for curve in found.curves:
            points = zip(curve.recall, curve.precision, curve.scores, strict=True)
            writer.writerows((curve.category, curve.iou, *(f"{v:.5f}" for v in p)) for p in points)

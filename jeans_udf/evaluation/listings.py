"""Figures as tables of text, for the page and the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jeans_udf.evaluation.detection import FIGURES
from jeans_udf.evaluation.speed import Speed

KINDS = {"bbox": "Boxes", "segm": "Masks"}
ANY = "any category"
_TOTALS = {"all": "all, of the right category", ANY: "all, whatever the category"}


@dataclass(frozen=True)
class Listing:
    """A table: the first cell of each row names it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def figure(value: Any) -> str:
    """Three digits, or a dash for what cannot be told."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"


def coco_listings(metrics: Mapping[str, Any], categories: Sequence[str]) -> list[Listing]:
    """COCO's figures of boxes and of masks: all, whatever the category, each category."""
    support = metrics["photos"]["garments_by_category"]
    listings = []
    for kind, title in KINDS.items():
        found = metrics[kind]
        if found is None:
            continue
        rows = [_row("mean of categories", metrics["photos"]["garments"], found, ""),
                _row(ANY, metrics["photos"]["garments"], metrics["any_category"][kind], "")]
        rows += [_row(_words(name), support[name], found, f"/{name}") for name in categories]
        listings.append(Listing(title, ("", "garments", *FIGURES), tuple(rows)))
    return listings  # fmt: skip


def group_listing(metrics: Mapping[str, Any]) -> Listing | None:
    """The main figures by group of photos; None without groups."""
    columns = ("", "photos", "without garments", "garments", "box AP", "box AP50", "mask AP",
               "mask AP50", "box AP50, any category", "get one wrongly")  # fmt: skip
    rows = []
    for name, found in metrics["groups"].items():
        photos, masks = found["photos"], found.get("segm") or {}
        rows.append((
            name, figure(photos["photos"]), figure(photos["without_garments"]),
            figure(photos["garments"]), figure(found["bbox"]["AP"]), figure(found["bbox"]["AP50"]),
            figure(masks.get("AP")), figure(masks.get("AP50")),
            figure(found["any_category"]["bbox"]["AP50"]),
            percent(found["tagged_negatives_at_thresholds"]),
        ))  # fmt: skip
    note = "The last column: photos without garments that get one at the model's thresholds."
    return Listing("Groups of photos", columns, tuple(rows), note) if rows else None


def threshold_listing(metrics: Mapping[str, Any]) -> Listing:
    """Precision, recall and F1 by category at the model's thresholds."""
    at, best = metrics["at_thresholds"], metrics["best_f1"]
    rows = []
    for name, found in (at["categories"] | {ANY: at["any_category"]}).items():
        own = best.get(name, {})
        rows.append((
            _TOTALS.get(name, _words(name)), figure(at["thresholds"].get(name)),
            figure(found["precision"]), figure(found["recall"]), figure(found["f1"]),
            figure(found["support"]), figure(found["detections"]), figure(own.get("threshold")),
            figure(own.get("f1")),
        ))  # fmt: skip
    columns = ("", "threshold", "precision", "recall", "F1", "garments", "detections",
               "best threshold", "its F1")  # fmt: skip
    note = (
        f"{percent(at['tagged_negatives'])} of the photos without garments get one. The best "
        "thresholds were chosen on these photos, so expect a little less of them elsewhere."
    )
    return Listing("At the model's thresholds", columns, tuple(rows), note)


def proposal_listing(metrics: Mapping[str, Any]) -> Listing:
    """Recall of proposals, of all photos and by group."""
    columns = tuple(metrics["proposals"])
    parts = {"all photos": metrics["proposals"]}
    parts |= {name: found["proposals"] for name, found in metrics["groups"].items()}
    rows = tuple((name, *(figure(found[c]) for c in columns)) for name, found in parts.items())
    return Listing("Recall of proposals", ("", *columns), rows)


def speed_listing(speed: Speed) -> Listing:
    rows = tuple(
        (f"batch of {size}", f"{rate:.1f}") for size, rate in speed.photos_per_second.items()
    )
    height, width = speed.canvas
    note = (
        f"Medians of {speed.repeats} passes over photos of {height}x{width} on {speed.device}, "
        f"{speed.threads} CPU threads; the detector alone, without decoding and scaling."
    )
    return Listing("Speed", ("", "photos a second"), rows, note)


def _row(name: str, garments: int, found: Mapping[str, float], suffix: str) -> tuple[str, ...]:
    return (name, figure(garments), *(figure(found[key + suffix]) for key in FIGURES))


def _words(name: str) -> str:
    return name.replace("_", " ")

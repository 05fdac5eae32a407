"""What the page shows, as plain values; no Spark, no Pillow, no HTML."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

LOW_CONFIDENCE = 0.6
"""Attributes that score less are shown as unsure."""

Card = TypeVar("Card")


@dataclass(frozen=True)
class Picture:
    """An encoded picture small enough for the page; its bytes stay out of logs and tracebacks."""

    data: bytes = field(repr=False)
    width: int
    height: int
    kind: str = "image/webp"

    @property
    def uri(self) -> str:
        """A ``data:`` address, so that the page loads nothing."""
        return f"data:{self.kind};base64,{base64.b64encode(self.data).decode('ascii')}"


@dataclass(frozen=True)
class Attribute:
    """A label of one group; ``label`` None: the group applies, but the model abstains."""

    group: str
    label: str | None
    score: float | None

    @property
    def unsure(self) -> bool:
        return self.label is None or (self.score is not None and self.score < LOW_CONFIDENCE)


@dataclass(frozen=True)
class GarmentCard:
    """One garment; ``box`` is (x_min, y_min, x_max, y_max) in pixels of the upright photo."""

    garment_id: str
    category: str
    score: float
    box: tuple[float, float, float, float]
    attributes: tuple[Attribute, ...] = ()
    crop: Picture | None = None
    reviewed: bool = False
    """Whether a person's word stands here in the place of the model's."""

    def groups(self) -> list[tuple[str, list[Attribute]]]:
        """Attributes by group, groups in the order given."""
        found: dict[str, list[Attribute]] = {}
        for attribute in self.attributes:
            found.setdefault(attribute.group, []).append(attribute)
        return list(found.items())


@dataclass(frozen=True)
class PhotoCard:
    """One photo that was looked at; ``width`` and ``height`` of the upright photo, in pixels."""

    image_id: str
    product_id: str | None
    title: str | None
    width: int
    height: int
    garments: tuple[GarmentCard, ...] = ()
    picture: Picture | None = None
    overlay: Picture | None = None
    """The masks' colours, transparent elsewhere, of the same size as ``picture``."""
    note: str | None = None
    """Why there is no picture, or no overlay on it."""


@dataclass(frozen=True)
class RejectedCard:
    """One image that could not be tagged."""

    image_id: str
    product_id: str | None
    title: str | None
    reason: str
    detail: str | None
    picture: Picture | None = None


@dataclass(frozen=True)
class RunSummary:
    """One row of ``tagging_runs``, as far as the page shows it."""

    run_id: str
    started_at: datetime | None
    ended_at: datetime | None
    images: int
    deleted: int
    garments: int
    rejected: int
    images_per_second: float | None
    wall_seconds: float | None
    model_version: str | None
    exit_code: int | None
    drift: Mapping[str, float] = field(default_factory=dict)
    """Population stability index by group, against the run before."""
    max_drift: float | None = None
    """Above it the run ended with exit code 3."""

    def drifted(self) -> list[str]:
        """Groups above the limit."""
        limit = self.max_drift
        return [] if limit is None else [g for g, index in self.drift.items() if index > limit]


@dataclass(frozen=True)
class Chart:
    """Bars by label, largest first; ``coloured`` ones take the colours of the categories."""

    title: str
    counts: tuple[tuple[str, int], ...]
    unit: str = "garments"
    coloured: bool = False


@dataclass(frozen=True)
class Sample(Generic[Card]):
    """Some cards out of ``total``."""

    cards: tuple[Card, ...]
    total: int


@dataclass(frozen=True)
class WeakCard:
    """A garment of which the model is least sure, and the answer that it is least sure of."""

    image_id: str
    product_id: str | None
    garment: GarmentCard
    weakest: Attribute
    """Its group may be ``category``."""


@dataclass(frozen=True)
class ProductCard:
    """A product by its best garment; ``cosine`` to the product beside which it stands."""

    product_id: str
    garment: GarmentCard | None = None
    cosine: float | None = None


@dataclass(frozen=True)
class Similar:
    """A product and its nearest ones, the nearest first."""

    product: ProductCard
    neighbours: tuple[ProductCard, ...]


@dataclass(frozen=True)
class LabelQuality:
    """How often a label is right; ``group`` is the one that it belongs to."""

    group: str
    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Quality:
    """The best garment of each labelled image, compared with a label file."""

    truth: str
    """The file, as given."""
    labelled: int
    """Rows of the file; ``found`` of them have an image here, ``empty`` of these no garment."""
    found: int
    empty: int
    labels: tuple[LabelQuality, ...] = ()
    micro: LabelQuality | None = None
    macro_f1: float | None = None
    category_right: float | None = None
    """Share of the garments whose category is told; None: the file has no categories."""


@dataclass(frozen=True)
class Query:
    """A query for the reader to copy."""

    title: str
    language: str
    text: str


@dataclass(frozen=True)
class Report:
    """Everything on the page."""

    title: str
    source: str
    output: str
    made_at: datetime
    model_version: str | None
    statuses: Mapping[str, int]
    """Images by status; their sum is the number of images in the catalog."""
    garments: int
    runs: tuple[RunSummary, ...]
    """Latest first."""
    charts: tuple[Chart, ...]
    tagged: Sample[PhotoCard]
    blank: Sample[PhotoCard]
    """Photos in which no garment was found."""
    rejected: Sample[RejectedCard]
    drift: RunSummary | None = None
    """The latest run whose drift is known: one that tagged nothing has none."""
    queries: tuple[Query, ...] = ()
    weakest: tuple[WeakCard, ...] = ()
    """The least sure first, of the whole catalog."""
    similar: tuple[Similar, ...] | None = None
    """None: the output has no table of them."""
    quality: Quality | None = None
    with_pictures: bool = True

    @property
    def images(self) -> int:
        return sum(self.statuses.values())

    @property
    def run(self) -> RunSummary | None:
        """The latest run that tagged an image: later ones had nothing to do."""
        working = [run for run in self.runs if run.images]
        return working[0] if working else next(iter(self.runs), None)

    @property
    def shown(self) -> int:
        """Cards in the gallery."""
        return sum(len(one.cards) for one in (self.tagged, self.blank, self.rejected))

    @property
    def categories(self) -> tuple[str, ...]:
        """All that occur, the most frequent first."""
        shown = {g.category: None for card in self.tagged.cards for g in card.garments}
        charts = (chart for chart in self.charts if chart.coloured)
        counted = {name: None for chart in charts for name, _ in chart.counts}
        return tuple(counted | shown)

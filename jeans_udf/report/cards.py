"""Rows of the tables, as dicts, to the cards of a page; pictures are decoded within the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from jeans_udf.config import ImageLimits
from jeans_udf.errors import Rejected
from jeans_udf.geometry import decode_rle
from jeans_udf.images import decode_image, sha256_hex
from jeans_udf.paths import read_image_file
from jeans_udf.report.colours import category_colours, rgb
from jeans_udf.report.data import (
    Attribute,
    GarmentCard,
    PhotoCard,
    Picture,
    RejectedCard,
    RunSummary,
)
from jeans_udf.report.pictures import Album
from jeans_udf.views.groups import Groups

Row = Mapping[str, Any]
HIDDEN = "pictures are left out of this page"
PAGE_FULL = "left out: the page has reached its size"


class CardMaker:
    """Makes cards; ``album`` None makes them without any picture."""

    def __init__(self, groups: Groups, limits: ImageLimits, album: Album | None) -> None:
        self.groups, self.limits, self.album = groups, limits, album

    def photo(self, row: Row, garments: Sequence[Row] = ()) -> PhotoCard:
        """``row``: image_status with the source's title, image and path; ``garments``: its own."""
        picture, overlay, note = self._photo_and_masks(row, garments)
        return PhotoCard(
            image_id=row["image_id"],
            product_id=row["product_id"],
            title=row["title"],
            width=row["width"] or 1,
            height=row["height"] or 1,
            garments=tuple(self.garment(garment) for garment in garments),
            picture=picture,
            overlay=overlay,
            note=note,
        )

    def rejected(self, row: Row) -> RejectedCard:
        """The picture is there if only its size or a model's failure was the reason."""
        picture = None
        if self.album is not None:
            # A picture of a few pixels is harmless, and seeing it explains the reason.
            limits = self.limits.model_copy(update={"min_side": 1})
            try:
                picture = self.album.photo(decode_image(_bytes_of(row, limits), limits))
            except Rejected:
                pass
        names = ("image_id", "product_id", "title", "reason", "detail")
        return RejectedCard(**{name: row[name] for name in names}, picture=picture)

    def garment(self, row: Row) -> GarmentCard:
        """``row``: of ``garments``; without its cut-out."""
        box = row["box"]
        return GarmentCard(
            garment_id=row["garment_id"],
            category=row["category"],
            score=row["score"],
            box=(box["x_min"], box["y_min"], box["x_max"], box["y_max"]),
            attributes=attributes(row, self.groups),
            reviewed=bool(row.get("reviewed")),
        )

    def _photo_and_masks(
        self, row: Row, garments: Sequence[Row]
    ) -> tuple[Picture | None, Picture | None, str | None]:
        if self.album is None:
            return None, None, HIDDEN
        try:
            data = _bytes_of(row, self.limits)
            pixels = decode_image(data, self.limits)
        except Rejected as error:
            return None, None, f"cannot be shown now: {error.detail}"
        picture = self.album.photo(pixels)
        if picture is None:
            return None, None, PAGE_FULL
        if data is None or sha256_hex(data) != row["image_sha256"]:
            return picture, None, "The photo changed after it was tagged: shown without masks."
        return picture, self._overlay(garments, *pixels.shape[:2]), None

    def _overlay(self, garments: Sequence[Row], height: int, width: int) -> Picture | None:
        assert self.album is not None
        masks: list[np.ndarray] = []
        colours = []
        palette = category_colours(garment["category"] for garment in garments)
        for garment in garments:
            mask = garment["mask"]
            # The size is compared before decoding: an RLE of a few bytes may claim any size.
            if mask is not None and (mask["height"], mask["width"]) == (height, width):
                masks.append(decode_rle({"size": [height, width], "counts": mask["counts"]}))
                colours.append(rgb(palette[garment["category"]]))
        return self.album.overlay(height, width, masks, colours) if masks else None


def with_crops(card: PhotoCard, crops: Mapping[str, Picture | None]) -> PhotoCard:
    """``card`` with cut-outs, given by garment_id."""
    garments = (replace(g, crop=crops.get(g.garment_id)) for g in card.garments)
    return replace(card, garments=tuple(garments))


def attributes(row: Row, groups: Groups) -> tuple[Attribute, ...]:
    """Labels with their scores; a group that does not apply to the category gives none.

    Of a corrected garment the lists have none: the model's scores may be of other labels.
    """
    found = []
    for group in groups.exclusive:
        label, score = row[group], row[f"{group}_score"]
        if label is not None or score is not None:
            found.append(Attribute(group, label, score))
    scores = {} if row.get("reviewed") else row["attribute_scores"] or {}
    for group in groups.multiple:
        found += [Attribute(group, label, scores.get(label)) for label in row[group] or ()]
    return tuple(found)


def run_summary(row: Row) -> RunSummary:
    """A row of ``tagging_runs``."""
    statuses = row["status_counts"] or {}
    return RunSummary(
        run_id=row["run_id"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        images=row["images"] or 0,
        deleted=row["deleted"] or 0,
        garments=row["garments"] or 0,
        rejected=statuses.get("rejected", 0),
        images_per_second=row["images_per_second"],
        wall_seconds=row["wall_seconds"],
        model_version=row["model_version"],
        exit_code=row["exit_code"],
        drift=row["drift"] or {},
        max_drift=row["max_drift"],
    )


def _bytes_of(row: Row, limits: ImageLimits) -> bytes | None:
    if row["image"] is not None:
        return bytes(row["image"])
    return None if row["path"] is None else read_image_file(row["path"], limits)

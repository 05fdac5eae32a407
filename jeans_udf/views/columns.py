"""The views' columns, with a comment each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pyspark.sql import types as T

from jeans_udf.schemas import ATTRIBUTE_OVERRIDES, GARMENT_CROPS, IMAGE_STATUS
from jeans_udf.views.groups import Groups, groups_of
from jeans_udf.views.literals import quoted, sql_text

Commented = list[tuple[str, str]]
"""Names and comments of a view's columns, in order."""


def view_columns(garments: T.StructType) -> Mapping[str, Commented]:
    """Columns of the views whose columns depend on the vocabulary."""
    groups = groups_of(garments)
    about = {field.name: str(field.metadata.get("comment", "")) for field in garments}
    status = {field.name: str(field.metadata["comment"]) for field in IMAGE_STATUS}
    crops = {field.name: str(field.metadata["comment"]) for field in GARMENT_CROPS}
    answers = answer_columns(groups)
    reviewed = [
        ("model_score", "Score of the model's own answer, before people had their say"),
        ("reviewed", "Whether a person's word stands in the place of the model's"),
    ]
    overrides = [(field.name, str(field.metadata["comment"])) for field in ATTRIBUTE_OVERRIDES]
    garment = [(name, about[name]) for name in garments.names if name in about]
    return {
        "reviewed_garments": [*garment, *reviewed],
        "ignored_overrides": [*overrides, ("reason", "Why: what is wrong, or not there")],
        "product_attributes": [
            ("product_id", "Key of the product"),
            ("images", "Images of the product"),
            ("garments", "Garments found in them"),
            *((name, f"Best garment: {about[name]}")
              for name in ("image_id", "garment_id", "category", "score", *answers)),
            reviewed[-1],
        ],
        "rejected_images": [
            (name, status[name])
            for name in ("image_id", "product_id", "reason", "detail", "tagged_at")
        ],
        "low_confidence": [
            ("confidence", "Least of the scores: of the category and of each answer, 0 to 1"),
            ("weakest", "Which answer that is: category, or a group"),
            *((name, about[name]) for name in LOW),
            *((name, about[name]) for name in answers),
        ],
        "garments_with_crops": [
            *garment, *reviewed,
            ("crop", crops["crop"]), ("crop_width", crops["width"]),
            ("crop_height", crops["height"]),
        ],
        "model_diff": [
            ("image_id", about["image_id"]),
            ("product_id", about["product_id"]),
            ("model_before", "Bundle on the side before"),
            ("model_after", "Bundle on the side after"),
            ("changed", "Whether anything but scores differs, of any of its garments"),
            ("status_before", f"Before: {status['status']}"),
            ("status_after", f"After: {status['status']}"),
            ("garments_before", "Garments found before"),
            ("garments_after", "Garments found after"),
            *((f"{name}_{side}", f"Best garment {side}: {about[name]}")
              for name in ("category", "score", *groups.all) for side in ("before", "after")),
        ],
    }  # fmt: skip


LOW = ("garment_id", "image_id", "product_id", "category", "score")
"""Columns of low_confidence before the groups'."""


def answer_columns(groups: Groups) -> tuple[str, ...]:
    """Columns of garments that the groups own, and all labels."""
    names: list[str] = []
    for name in groups.exclusive:
        names += [name, f"{name}_score"]
    return (*names, *groups.multiple, "attributes")


def commented(columns: Iterable[tuple[str, str]]) -> str:
    """The columns of a CREATE VIEW."""
    return ",\n".join(f"  {quoted(name)} COMMENT {sql_text(comment)}" for name, comment in columns)

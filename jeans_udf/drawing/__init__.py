
from __future__ import annotations

from jeans_udf.drawing.catalog import draw_catalog
from jeans_udf.drawing.dataset import draw_dataset
from jeans_udf.drawing.scene import KINDS, NEGATIVES, DrawnGarment, DrawnPicture, draw_picture

__all__ = [
    "KINDS",
    "NEGATIVES",
    "DrawnGarment",
    "DrawnPicture",
    "draw_catalog",
    "draw_dataset",
    "draw_picture",
]

"""Proposals of a region proposal network: how many garments they cover, and files of them.

A file of proposals is Parquet with one row a photo: ``image_id`` (the photo's path below its
folder), ``boxes`` (lists of x_min, y_min, x_max, y_max in pixels of the upright photo) and
``scores`` (objectness, 0 to 1), best first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jeans_udf.errors import ConfigError
from jeans_udf.evaluation.detection import Rows, run_coco
from jeans_udf.models.detections import Proposals
from jeans_udf.training.coco import Photo

COUNTS = (1, 2, 5, 10, 20, 50, 100)
"""Proposals of a photo that are taken, best first."""
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("boxes", pa.list_(pa.list_(pa.float32()))),
        ("scores", pa.list_(pa.float32())),
    ]
)


def proposal_rows(proposals: Mapping[int, Proposals]) -> list[dict[str, Any]]:
    """COCO result rows of proposals by COCO id; all of category 1."""
    return [
        {
            "image_id": image,
            "category_id": 1,
            "score": float(score),
            "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
        }
        for image, found in proposals.items()
        for (x1, y1, x2, y2), score in zip(found.boxes, found.scores, strict=True)
    ]


def proposal_recall(truth: dict[str, Any], results: Rows) -> dict[int, dict[str, float]]:
    """Average recall of boxes whatever the category, by how many proposals of a photo are taken.

    ``AR`` over overlaps of 0.5 to 0.95, ``AR50`` at 0.5, and ``AR_small``, ``AR_medium``,
    ``AR_large`` by the area of the garment; 0 to 1, NaN without truth.
    """
    # (IoU, category, area, limit)
    recall = run_coco(truth, results, "bbox", by_category=False, most=COUNTS)["recall"][:, 0]
    return {
        count: {
            "AR": _mean(recall[:, 0, k]),
            "AR50": _mean(recall[:1, 0, k]),
            "AR_small": _mean(recall[:, 1, k]),
            "AR_medium": _mean(recall[:, 2, k]),
            "AR_large": _mean(recall[:, 3, k]),
        }
        for k, count in enumerate(COUNTS)
    }


def proposal_figures(truth: dict[str, Any], results: Rows) -> dict[str, float]:
    """``AR@10``, ``AR@100``, ``AR50@10`` ... by size too (``AR_small@100``); see above."""
    recall = proposal_recall(truth, results)
    return {
        f"{name}@{count}": value for count in (10, 100) for name, value in recall[count].items()
    }


def write_proposals(proposals: Mapping[str, Proposals], file: Path) -> Path:
    """Write proposals by image_id to Parquet."""
    columns = {
        "image_id": list(proposals),
        "boxes": [found.boxes.tolist() for found in proposals.values()],
        "scores": [found.scores.tolist() for found in proposals.values()],
    }
    pq.write_table(pa.table(columns, schema=SCHEMA), file)
    return file


def read_proposals(
    file: str | Path, photos: Sequence[Photo], folder: str | Path
) -> dict[int, Proposals]:
    """The proposals of ``photos``, which lie in ``folder``, by COCO id.

    Raises `ConfigError` for a file that is no such Parquet, a photo that it lacks, and boxes that
    are not four finite numbers in order with a score of 0 to 1.
    """
    try:
        table = pq.read_table(file, columns=SCHEMA.names).cast(SCHEMA)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise ConfigError(
            f"proposals {file}: not a Parquet file with image_id, boxes and scores ({error})"
        ) from None
    of_image = dict(zip(table["image_id"].to_pylist(), range(table.num_rows), strict=True))
    if len(of_image) != table.num_rows:
        raise ConfigError(f"proposals {file}: an image_id is given twice; wanted one row a photo")
    found = {}
    for photo in photos:
        name = photo.path.relative_to(folder).as_posix()
        if name not in of_image:
            raise ConfigError(f"proposals {file}: none for photo {name!r}; propose for all photos")
        row = table.slice(of_image[name], 1).to_pylist()[0]
        boxes, scores = _checked(f"proposals {file}: photo {name!r}", row)
        found[photo.coco_id] = Proposals(boxes=boxes, scores=scores)
    return found


def _checked(where: str, row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """``boxes (N, 4) float32`` and ``scores (N,) float32``, best first."""
    boxes, scores = row["boxes"] or [], row["scores"] or []
    if len(boxes) != len(scores) or any(box is None or len(box) != 4 for box in boxes):
        raise ConfigError(f"{where}: wanted boxes of four numbers, and as many scores")
    corners = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    chances = np.array(scores, dtype=np.float32)
    fine = np.isfinite(corners).all() and (corners[:, 2:] >= corners[:, :2]).all()
    if not fine or not ((chances >= 0) & (chances <= 1)).all():
        raise ConfigError(f"{where}: a box is not finite or in order, or a score not in 0 to 1")
    order = np.argsort(-chances, kind="stable")
    return corners[order], chances[order]


def _mean(recall: np.ndarray) -> float:
    valid = recall[recall > -1]
    return float(valid.mean()) if valid.size else float("nan")

"""Masks for photos of which only tags are known, by a bundle that is there already.

A photo whose tags name one kind of bottom garment gets the best detection of a category that the
tag allows, if detector and classifier are sure enough; other photos are left out. More photos of
that kind for the next training, at no one's labour ("pseudo-label", Lee, 2013). Writes a COCO file.

    python scripts/pseudo_labels.py --photos DATA/weak_photos \\
        --tags DATA/annotations/weak_tags.csv --output runs/pseudo.json
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jeans_udf.bundle import open_bundle
from jeans_udf.config import ImageLimits, TaggingConfig
from jeans_udf.geometry import decode_rle, encode_rle
from jeans_udf.images import decode_image
from jeans_udf.tagger import Tagger
from jeans_udf.training.progress import Progress

ALLOWED = {
    "jeans": {"jeans"},
    "pants": {"jeans", "trousers"},
    "shorts": {"shorts", "denim_shorts"},
    "leggings": {"leggings"},
    "tights": {"leggings"},
}
"""Tag of a photo -> categories of the vocabulary that it can mean."""
UNCLEAR = {"stockings", "romper", "suit", "bodysuit"}
"""Tags that may or may not be a garment of the vocabulary."""


def allowed_categories(tags: set[str]) -> set[str]:
    """Categories that a photo with ``tags`` can show; empty when the tags do not settle it."""
    named = [ALLOWED[tag] for tag in sorted(tags & set(ALLOWED))]
    if not named or tags & UNCLEAR or any(one != named[0] for one in named):
        return set()
    return named[0]


def find_garment(
    tagger: Tagger, image: np.ndarray, allowed: set[str], least: float
) -> tuple[str, dict[str, Any]] | None:
    """(category, RLE) of the garment that ``image`` (H, W, 3) uint8 RGB surely shows, or None."""
    found = tagger.detector.detect([tagger.detector.prepare(image)])[0]
    masks = found.full_masks(*image.shape[:2])
    if masks is None or not len(found):
        return None
    squares = [tagger.classifier.prepare(image, mask, box)
               for mask, box in zip(masks, found.boxes, strict=True)]  # fmt: skip
    categories = tagger.vocabulary.categories
    first = len(tagger.vocabulary.labels)
    verdicts = tagger.classifier.scores(squares)[:, first:]
    best = int(np.argmax(found.scores * (1 - verdicts[:, 0])))
    if found.scores[best] * (1 - verdicts[best, 0]) < least:
        return None
    by_detector = categories[int(found.classes[best])]
    ruled = {name: verdicts[best, 1 + categories.index(name)] for name in allowed}
    by_classifier = max(ruled, key=lambda name: ruled[name])
    if len(allowed) > 1 and by_detector != by_classifier:
        return None
    if box_is_small(found.boxes[best], image):
        return None
    return by_classifier, encode_rle(masks[best])


def box_is_small(box: np.ndarray, image: np.ndarray) -> bool:
    """Passers-by far behind are not annotated in the real labels either."""
    return float(box[3] - box[1]) < 0.12 * image.shape[0]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", required=True, type=Path)
    parser.add_argument("--tags", required=True, type=Path, help="CSV with columns path, tags")
    parser.add_argument("--bundle", default="default")
    parser.add_argument("--least", type=float, default=0.7, help="score, 0 to 1")
    parser.add_argument("--output", required=True, type=Path)
    args = parser.parse_args()
    tagger = Tagger(open_bundle(args.bundle), TaggingConfig(), torch.device("cpu"))
    categories = tagger.vocabulary.categories
    with args.tags.open(newline="", encoding="utf-8") as lines:
        rows = [(r["path"], allowed_categories(set(r["tags"].split())))
                for r in csv.DictReader(lines)]  # fmt: skip
    rows = [(path, allowed) for path, allowed in rows if allowed]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    progress = Progress(len(rows), "photos", 1)
    for done, (name, allowed) in enumerate(rows, start=1):
        image = decode_image((args.photos / name).read_bytes(), ImageLimits())
        garment = find_garment(tagger, image, allowed, args.least)
        if garment is not None:
            category, rle = garment
            number = len(images) + 1
            height, width = image.shape[:2]
            images.append({"id": number, "file_name": name, "height": height, "width": width})
            annotations.append({
                "id": number, "image_id": number, "iscrowd": 0, "segmentation": rle,
                "category_id": categories.index(category) + 1,
                "area": int(decode_rle(rle).sum()),
            })  # fmt: skip
        progress.update(done, f"{len(images)} labelled")
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.write_text(json.dumps({
        "images": images, "annotations": annotations,
        "categories": [{"id": k, "name": name} for k, name in enumerate(categories, start=1)],
    }))  # fmt: skip
    print(f"wrote {args.output}: {len(images)} of {len(rows)} photos")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Assemble a model bundle from a trained detector and a trained classifier.

Weights are stored in half precision (norms and biases stay whole), every file's sha256 goes into
manifest.json. Score thresholds, one for each category, are fitted on the validation photos by
running the whole pass over them: for best F1, and so that at most --max-tagged-negatives of those
without garments get one. A Fast R-CNN takes the RPN that it was trained on with it.

Example:
  python jobs/build_bundle.py --name jeans-lite0 --version 1 --detector runs/detector \\
      --classifier runs/classifier --training-data conf/training_data.yaml \\
      --val-photos DIR --val-annotations DIR/instances_val.json --output bundles/my-bundle
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jeans_udf.errors import EXIT_USAGE, UsageError
from jeans_udf.training.assemble import Parts, assemble_bundle
from jeans_udf.training.coco import read_coco
from jeans_udf.vocabulary import load_vocabulary


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--name", required=True, help="first part of model_version")
    add("--version", required=True, help="the bundle's version, for people")
    add("--detector", required=True, type=Path, help="output of train_detector.py")
    add("--classifier", required=True, type=Path, help="output of train_classifier.py")
    add("--vocabulary", default="conf/vocabulary.yaml")
    add("--training-data", required=True, help="YAML list: name, licence, source of each data set")
    add("--val-photos", required=True, help="folder of validation photos")
    add("--val-annotations", required=True, help="their COCO file")
    add("--max-tagged-negatives", type=float, default=0.05, help="share, 0 to 1")
    add("--output", required=True, type=Path, help="folder to write; replaced when it is a bundle")
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    parts = Parts(
        name=args.name,
        version=args.version,
        detector=args.detector,
        classifier=args.classifier,
        vocabulary=args.vocabulary,
        training_data=args.training_data,
    )
    try:
        categories = load_vocabulary(args.vocabulary).categories
        photos = read_coco(args.val_photos, args.val_annotations, categories)
        bundle = assemble_bundle(
            args.output, parts, photos, most_tagged=args.max_tagged_negatives
        )
    except UsageError as error:
        print(f"build_bundle: {error}", file=sys.stderr)
        return EXIT_USAGE
    size = sum(file.stat().st_size for file in bundle.directory.rglob("*")) / 1e6
    print(f"wrote {bundle.directory}: {bundle.model_version}, {size:.1f} MB, "
          f"score thresholds {bundle.manifest.detector.category_thresholds}")
    for name, value in bundle.manifest.metrics.items():
        print(f"  {name} {value:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

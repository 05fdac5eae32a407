"""Assemble a model bundle from a trained detector and a trained classifier.

Weights are stored in half precision (norms and biases stay whole), every file's sha256 goes into
manifest.json. The detector's score threshold is the least one at which at most
--max-tagged-negatives of the validation photos without garments get one.

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
from jeans_udf.training.assemble import assemble_bundle, fit_score_threshold


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
    add("--score-threshold", type=float, help="take this one instead of fitting it")
    add("--output", required=True, type=Path, help="folder to write; replaced when it is a bundle")
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    try:
        threshold, metrics = fit_score_threshold(
            args.detector,
            args.vocabulary,
            args.val_photos,
            args.val_annotations,
            most_tagged=args.max_tagged_negatives,
            given=args.score_threshold,
        )
        bundle = assemble_bundle(
            args.output,
            name=args.name,
            version=args.version,
            detector=args.detector,
            classifier=args.classifier,
            vocabulary=args.vocabulary,
            training_data=args.training_data,
            score_threshold=threshold,
            detector_metrics=metrics,
        )
    except UsageError as error:
        print(f"build_bundle: {error}", file=sys.stderr)
        return EXIT_USAGE
    size = sum(file.stat().st_size for file in bundle.directory.rglob("*")) / 1e6
    print(f"wrote {bundle.directory}: {bundle.model_version}, {size:.1f} MB, "
          f"score threshold {threshold}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Assemble a model bundle from a trained detector and a trained classifier.

Weights are stored in half precision (norms and biases stay whole), every file's sha256 goes into
manifest.json. Score thresholds, one for each category, are fitted on the validation photos by
running the whole pass over them: for best F1, and so that at most --max-tagged-negatives of those
without garments get one. A Fast R-CNN takes the RPN that it was trained on with it.

Examples:
  a detector of your own with the shipped classifier
    python jobs/build_bundle.py --name mine --version 1 --detector runs/detector \\
        --classifier-from default --val-photos DIR --val-annotations DIR/instances_val.json \\
        --output bundles/mine
  both of your own
    python jobs/build_bundle.py --name mine --version 2 --detector runs/detector \\
        --classifier runs/classifier --training-data conf/training_data.yaml \\
        --val-photos DIR --val-annotations DIR/instances_val.json --output bundles/mine
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jeans_udf.bundle import open_bundle
from jeans_udf.conf_files import conf_file
from jeans_udf.errors import EXIT_USAGE, UsageError
from jeans_udf.training.assemble import (
    Parts,
    assemble_bundle,
    classifier_of_bundle,
    classifier_of_run,
)
from jeans_udf.training.coco import check_validation, read_coco
from jeans_udf.vocabulary import load_vocabulary


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--name", required=True, help="first part of model_version")
    add("--version", required=True, help="the bundle's version, for people")
    add("--detector", required=True, type=Path, help="output of train_detector.py")
    classifier = parser.add_mutually_exclusive_group(required=True)
    classifier.add_argument("--classifier", type=Path, help="output of train_classifier.py")
    classifier.add_argument("--classifier-from", metavar="BUNDLE",
                            help="take the classifier of a bundle, as of 'default'")  # fmt: skip
    add("--vocabulary", default=conf_file("vocabulary.yaml"), metavar="FILE",
        help="categories, groups and labels that both models were trained with "
        "(default: %(default)s)")
    add("--training-data", metavar="YAML",
        help="list of data sets with name, licence, content, for the manifest")
    add("--val-photos", required=True, help="folder of validation photos")
    add("--val-annotations", required=True, help="their COCO file")
    add("--max-tagged-negatives", type=float, default=0.05, help="share, 0 to 1")
    add("--output", required=True, type=Path, help="folder to write; replaced when it is a bundle")
    return parser


def main() -> int:
    args = parser().parse_args()
    try:
        vocabulary = load_vocabulary(args.vocabulary)
        parts = Parts(
            name=args.name,
            version=args.version,
            detector=args.detector,
            classifier=classifier_of_run(args.classifier) if args.classifier
            else classifier_of_bundle(open_bundle(args.classifier_from), vocabulary),
            vocabulary=args.vocabulary,
            training_data=args.training_data,
        )
        photos = read_coco(args.val_photos, args.val_annotations, vocabulary.categories)
        check_validation(photos, args.val_annotations)
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

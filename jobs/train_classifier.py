"""Train the attribute classifier (fastai) on masked crops of annotated garments.

Crops are cut from the photos by their COCO masks, as the tagging job cuts them. The labels CSV has
file_path, annotation_id, category and a column for each group of the vocabulary. With --detector
garments are cut as that detector finds them, and what it finds on photos without garments teaches
the classifier to say so. Stop it at any time: the same command resumes from the last whole epoch.
Give --photos, --annotations and --labels several times to train on several sets.

Example:
  python jobs/train_classifier.py --photos DIR --annotations DIR/instances_train.json \\
      --labels DIR/attributes_train.csv --val-photos DIR --val-annotations DIR/instances_val.json \\
      --val-labels DIR/attributes_val.csv --output runs/classifier
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from jeans_udf.errors import EXIT_USAGE, ConfigError, UsageError
from jeans_udf.evaluation.plots import plot_classifier_training, plot_label_scores
from jeans_udf.labels.dropping import load_labels
from jeans_udf.labels.labelled import garment_labels
from jeans_udf.models.classifier import build_classifier
from jeans_udf.models.detector import Detector, open_detector
from jeans_udf.training.classifier import MEAN, STD, Recipe, load_pretrained, train_classifier
from jeans_udf.training.coco import negatives_as_photos, read_coco, read_negatives
from jeans_udf.training.crops import Crop, cut_crops
from jeans_udf.vocabulary import Vocabulary, load_vocabulary


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--vocabulary", default="conf/vocabulary.yaml", help="groups and labels in order")
    add("--photos", action="append", required=True, help="folder of training photos")
    add("--annotations", action="append", required=True, help="COCO file, one for each --photos")
    add("--labels", action="append", required=True, help="labels CSV, one for each --photos")
    add("--val-photos", required=True, help="folder of validation photos")
    add("--val-annotations", required=True, help="their COCO file")
    add("--val-labels", required=True, help="their labels CSV")
    add("--detector", type=Path, help="output of train_detector.py")
    add("--negatives", nargs=2, action="append", default=[], metavar=("DIR", "LIST"),
        help="folder, and a text file of its photos that show no garment, one path a line")
    add("--backbone", default="tf_efficientnet_lite0", help="name of a timm network")
    add("--weights", help="safetensors to start from: a backbone, or another classifier")
    add("--size", type=int, default=224, help="side of the square crop in pixels")
    add("--output", required=True, type=Path, help="folder to write; resumed when it exists")
    add("--epochs", type=int, default=Recipe.epochs)
    add("--batch-size", type=int, default=Recipe.batch_size)
    add("--learning-rate", type=float, default=Recipe.learning_rate)
    add("--seed", type=int, default=Recipe.seed)
    add("--threads", type=int, default=0, help="torch's CPU threads; 0: all cores")
    return parser.parse_args()


def training_crops(
    args: argparse.Namespace, vocabulary: Vocabulary, detector: Detector | None
) -> list[Crop]:
    sets = (args.photos, args.annotations, args.labels)
    if len({len(values) for values in sets}) != 1:
        raise ConfigError(
            f"--photos, --annotations and --labels are given {[len(v) for v in sets]} times; "
            "wanted one of each for every set, in the same order"
        )
    crops = []
    for number, (folder, file, labels) in enumerate(zip(*sets, strict=True)):
        photos = read_coco(folder, file, vocabulary.categories)
        place = args.output / "crops" / f"train_{number}"
        known = garment_labels(load_labels(labels, vocabulary))
        crops += cut_crops(photos, known, place, args.size, detector)
    for number, (folder, listing) in enumerate(args.negatives):
        photos = negatives_as_photos(read_negatives(listing, folder))
        place = args.output / "crops" / f"negatives_{number}"
        crops += cut_crops(photos, {}, place, args.size, detector)
    return crops


def main() -> int:
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        vocabulary = load_vocabulary(args.vocabulary)
        detector = None
        if args.detector:
            # A low score, so that there are many crops to learn from what is no garment.
            detector = open_detector(args.detector, torch.device("cpu"),
                                     score_threshold=0.1, max_garments=5)  # fmt: skip
        train = training_crops(args, vocabulary, detector)
        valid = cut_crops(
            read_coco(args.val_photos, args.val_annotations, vocabulary.categories),
            garment_labels(load_labels(args.val_labels, vocabulary)),
            args.output / "crops" / "valid",
            args.size,
            detector,
        )
        recipe = Recipe(epochs=args.epochs, batch_size=args.batch_size,
                        learning_rate=args.learning_rate, seed=args.seed)
        torch.manual_seed(args.seed)
        model = build_classifier(args.backbone, vocabulary, recipe.drop_rate)
        if args.weights:
            load_pretrained(model, Path(args.weights))
    except UsageError as error:
        print(f"train_classifier: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(f"{len(train)} garments, {len(valid)} for validation", file=sys.stderr)
    metrics = train_classifier(model, train, valid, vocabulary, recipe=recipe, output=args.output)
    spec = {"backbone": args.backbone, "size": args.size, "mean": MEAN, "std": STD,
            "thresholds": metrics["thresholds"]}
    (args.output / "classifier.json").write_text(json.dumps(spec, indent=1))
    plot_classifier_training(args.output)
    plot_label_scores(metrics["labels"], args.output / "labels.png")
    print(f"micro F1 {metrics['micro_f1']:.3f}, macro F1 {metrics['macro_f1']:.3f} on the "
          f"validation garments; wrote {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

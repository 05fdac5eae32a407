"""Train a detector on COCO annotations and write weights, config, metrics and plots.

The photos with annotations are learnt as they are; photos of the COCO file without any, and those
of --negatives, teach what is no garment. Stop it at any time: the same command resumes from the
last whole epoch. Give --photos and --annotations several times to train on several sets.

Example:
  python jobs/train_detector.py --photos DIR --annotations DIR/instances_train.json \\
      --val-photos DIR --val-annotations DIR/instances_val.json --output runs/detector
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from jeans_udf.errors import EXIT_USAGE, ConfigError, UsageError
from jeans_udf.evaluation.plots import plot_detector_training
from jeans_udf.models.detector import build_detector, read_detector_config
from jeans_udf.training.coco import Photo, negatives_as_photos, read_coco, read_negatives
from jeans_udf.training.detector import Recipe, load_backbone, train_detector
from jeans_udf.vocabulary import load_vocabulary


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--config", default="conf/detectors/mask_rcnn_lite0.yaml", help="Detectron2 YAML")
    add("--vocabulary", default="conf/vocabulary.yaml", help="names the categories in order")
    add("--photos", action="append", required=True, help="folder of training photos")
    add("--annotations", action="append", required=True, help="COCO file, one for each --photos")
    add("--negatives", nargs=2, action="append", default=[], metavar=("DIR", "LIST"),
        help="folder, and a text file of its photos that show no garment, one path a line")
    add("--val-photos", required=True, help="folder of validation photos")
    add("--val-annotations", required=True, help="their COCO file")
    add("--backbone", help="safetensors with the backbone's pretrained weights")
    add("--output", required=True, type=Path, help="folder to write; resumed when it exists")
    add("--epochs", type=int, default=Recipe.epochs)
    add("--batch-size", type=int, default=Recipe.batch_size)
    add("--learning-rate", type=float, default=Recipe.learning_rate)
    add("--seed", type=int, default=Recipe.seed)
    add("--threads", type=int, default=0, help="torch's CPU threads; 0: all cores")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def training_photos(args: argparse.Namespace, categories: tuple[str, ...]) -> list[Photo]:
    if len(args.photos) != len(args.annotations):
        raise ConfigError(
            f"--photos is given {len(args.photos)} times, --annotations {len(args.annotations)} "
            "times; wanted one COCO file for each folder, in the same order"
        )
    photos = [
        photo
        for folder, file in zip(args.photos, args.annotations, strict=True)
        for photo in read_coco(folder, file, categories)
    ]
    for folder, listing in args.negatives:
        photos += negatives_as_photos(read_negatives(listing, folder))
    return photos


def main() -> int:
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        categories = load_vocabulary(args.vocabulary).categories
        cfg = read_detector_config(args.config)
        train = training_photos(args, categories)
        validation = read_coco(args.val_photos, args.val_annotations, categories)
        # Before the model is built: its fresh weights are part of what a seed repeats.
        torch.manual_seed(args.seed)
        model = build_detector(cfg)
        if args.backbone:
            load_backbone(model, Path(args.backbone))
    except UsageError as error:
        print(f"train_detector: {error}", file=sys.stderr)
        return EXIT_USAGE
    with_garments = sum(1 for photo in train if photo.classes)
    print(f"{with_garments} photos with garments, {len(train) - with_garments} without; "
          f"{len(validation)} for validation", file=sys.stderr)
    recipe = Recipe(epochs=args.epochs, batch_size=args.batch_size,
                    learning_rate=args.learning_rate, seed=args.seed)
    train_detector(model, train, validation, categories, longest_side=cfg.INPUT.MAX_SIZE_TEST,
                   recipe=recipe, output=args.output, device=torch.device(args.device))
    (args.output / "detector.yaml").write_text(Path(args.config).read_text())
    plot_detector_training(args.output)
    print(f"wrote {args.output}: detector.safetensors, detector.yaml, metrics.json, training.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())

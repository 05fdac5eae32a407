"""Train the attribute classifier (fastai) by a recipe of conf/classifiers.

Recipes: default (the shipped one's), progressive and fine_tune (the original project's fastai v1
and v2 notebooks). Labels are a CSV or Parquet file: the notebooks' file_path,label with labels
parted by spaces, or file_path and one column for each group of the vocabulary.

With --annotations (COCO) garments are cut out by their masks, as the tagging job shows them to the
classifier; rows need annotation_id. With --detector they are cut as that detector finds them, which
is closer still, and what it finds on --negatives teaches what is no garment. Without --annotations
each photo is one picture of one garment, as in the notebooks; without --val-labels a fifth of the
photos (seed 42) is kept back for validation.

Stop it at any time: the same command resumes from the last whole epoch. It leaves classifier.json
and classifier.safetensors for jobs/build_bundle.py, metrics.json and labels.md, and pictures: the
learning rate found, loss curves, a batch as the network sees it, results, top losses.

Examples:
  the notebooks' way: pictures and a labels file
    python jobs/train_classifier.py --recipe fine_tune --backbone resnet34 --photos DIR \\
        --labels DIR/labels.csv --output runs/fine_tune
  the default's way, on your COCO annotations
    python scripts/imagenet_weights.py build/imagenet_lite0.safetensors
    python jobs/train_classifier.py --photos DIR --annotations DIR/instances_train.json \\
        --labels DIR/attributes_train.csv --val-photos DIR \\
        --val-annotations DIR/instances_val.json --val-labels DIR/attributes_val.csv \\
        --detector jeans_udf/bundles/default \\
        --weights build/imagenet_lite0.safetensors --output runs/classifier
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import torch

from jeans_udf.conf_files import conf_file
from jeans_udf.errors import EXIT_USAGE, ConfigError, UsageError
from jeans_udf.labels.dropping import add_drop_faulty, dropped_codes
from jeans_udf.models.classifier import build_classifier
from jeans_udf.models.detector import open_detector
from jeans_udf.models.views import View
from jeans_udf.training.backbone_weights import load_backbone, statistics
from jeans_udf.training.classifier import member_folders, train_classifier, train_member
from jeans_udf.training.classifier_data import CropSets
from jeans_udf.training.classifier_recipe import ClassifierRecipe, read_classifier_recipe
from jeans_udf.training.classifier_run import write_run
from jeans_udf.training.classifier_sets import LabelledSet, Sources, gather_crops
from jeans_udf.training.crops import Cut
from jeans_udf.vocabulary import NO_GARMENT, load_vocabulary


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--recipe", default="default", metavar="NAME_OR_YAML",
        help="a name of conf/classifiers, or a YAML of your own")
    add("--vocabulary", default=conf_file("vocabulary.yaml"), metavar="FILE",
        help="groups and labels in order (default: %(default)s)")
    add("--photos", action="append", required=True, metavar="DIR",
        help="folder of training photos; may be given several times, as may its files below")
    add("--labels", action="append", required=True, metavar="FILE",
        help="labels CSV or Parquet, one for each --photos")
    add("--annotations", action="append", default=[], metavar="FILE",
        help="COCO file, one for each --photos")
    add("--val-photos", metavar="DIR", help="folder of validation photos")
    add("--val-labels", metavar="FILE", help="their labels")
    add("--val-annotations", metavar="FILE", help="their COCO file")
    add_drop_faulty(parser)
    add("--detector", type=Path, metavar="DIR", help="output of train_detector.py, or a bundle")
    add("--negatives", nargs=2, action="append", default=[], metavar=("DIR", "LIST"),
        help="folder, and a text file of its photos that show no garment, one path a line")
    add("--backbone", help="name of a timm network to take instead of the recipe's")
    add("--view", choices=get_args(View),
        help="what it sees of a garment, instead of the recipe's")
    add("--weights", type=Path, metavar="FILE",
        help="safetensors to start from: a backbone (scripts/imagenet_weights.py, "
        "jobs/import_weights.py), or another classifier; without it all is learnt from nothing")
    add("--output", required=True, type=Path, help="folder to write; resumed when it exists")
    add("--seed", type=int, default=0,
        help="of fresh weights and the photos' order; with --member N: N - 1 more (%(default)s)")
    add("--member", type=int, metavar="N",
        help="train the recipe's Nth member alone, such as on a core or machine of its own; the "
        "same command without it then makes the mean of all")
    add("--threads", type=int, default=0, help="torch's CPU threads; 0: all cores")
    return parser


def labelled_sets(args: argparse.Namespace) -> Sources:
    counts = len(args.photos), len(args.labels), len(args.annotations)
    if counts[0] != counts[1] or counts[2] not in (0, counts[0]):
        raise ConfigError(
            f"--photos, --labels and --annotations are given {counts[0]}, {counts[1]} and "
            f"{counts[2]} times; wanted one of each for every set, in the same order, or no "
            "--annotations at all"
        )
    if (args.val_photos is None) != (args.val_labels is None) or (
        args.val_labels is not None and (args.val_annotations is None) != (not args.annotations)
    ):
        raise ConfigError(
            "--val-photos and --val-labels go together, with --val-annotations where the training "
            "sets have --annotations"
        )
    notes: Sequence[str | None] = args.annotations or [None] * len(args.photos)
    train = [_set(*each) for each in zip(args.photos, args.labels, notes, strict=True)]
    valid = None
    if args.val_labels is not None:
        valid = _set(args.val_photos, args.val_labels, args.val_annotations)
    return Sources(train, valid, args.negatives, dropped_codes(args.drop_faulty))


def _set(photos: str, labels: str, annotations: str | None) -> LabelledSet:
    return LabelledSet(Path(photos), Path(labels), Path(annotations) if annotations else None)


def member_place(args: argparse.Namespace, recipe: ClassifierRecipe) -> Path:
    if not 1 <= args.member <= recipe.members:
        raise ConfigError(f"--member {args.member}: the recipe has {recipe.members} members")
    return member_folders(args.output, recipe)[args.member - 1]


def read_recipe(args: argparse.Namespace) -> ClassifierRecipe:
    changed = {"backbone": args.backbone, "view": args.view}
    recipe = read_classifier_recipe(args.recipe)
    return recipe.model_copy(update={key: value for key, value in changed.items() if value})


def main() -> int:
    args = parser().parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        vocabulary = load_vocabulary(args.vocabulary)
        recipe, sources = read_recipe(args), labelled_sets(args)
        torch.manual_seed(args.seed)
        model = build_classifier(
            recipe.backbone, vocabulary, recipe.drop_rate, recipe.head, verdict=recipe.has_verdict
        )
        if args.weights:
            load_backbone(model, args.weights)
        detector = None
        if args.detector:
            # A low score, so that there are many crops to learn from what is no garment.
            detector = open_detector(args.detector, torch.device("cpu"),
                                     score_threshold=0.1, max_garments=5)  # fmt: skip
        views = tuple(dict.fromkeys((recipe.view, *recipe.other_views)))
        cut = Cut(views, recipe.cut_size, detector)
        train, valid = gather_crops(sources, vocabulary, cut, args.output / "crops")
        if not recipe.has_verdict:
            train, valid = ([c for c in crops if c.category != NO_GARMENT]
                            for crops in (train, valid))  # fmt: skip
        sets = CropSets(train, valid, vocabulary, *statistics(recipe.backbone))
        print(f"{len(train)} crops, {len(valid)} for validation", file=sys.stderr)
        if args.member:
            train_member(model, sets, recipe, member_place(args, recipe),
                         args.seed + args.member - 1)  # fmt: skip
            return 0
        trained = train_classifier(model, sets, recipe, args.output, args.seed)
    except UsageError as error:
        print(f"train_classifier: {error}", file=sys.stderr)
        return EXIT_USAGE
    figures = write_run(trained, sets, recipe, args.output)
    print((args.output / "labels.md").read_text())
    print(f"micro F1 {figures['micro_f1']:.3f}, macro F1 {figures['macro_f1']:.3f} on "
          f"{figures['garments']} validation garments; wrote {args.output}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())

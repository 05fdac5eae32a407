"""Turn a learner of fastai into a classifier of this product, once, offline, without running it.

Takes what learn.save (v1 and v2) and learn.export (v2) write: .pth, .pkl. Both are pickles, which
can run code: they are opened with --allow-pickle alone, after their --sha256 was checked, by a
reader that makes and calls nothing of what a file names. fastai is not needed for it.

The body has to be torchvision's resnet18, 34, 50, 101 or 152, or a network of timm; the head
fastai's default. What was mapped and what could not be is printed, and written to import.json.

An export tells its labels, sizes and normalisation; a .pth only its tensors, so it needs --labels
and --size (and --backbone if its body is of timm). Labels are put in the vocabulary's order by
their names. Without --vocabulary one is written, with a group of all the learner's labels.

--output gets what jobs/train_classifier.py writes, for jobs/build_bundle.py, which fits the
detector's thresholds to it. --bundle writes a bundle at once, with the detector of another one and
thresholds as they are there.

Examples:
  python jobs/import_learner.py --learner export.pkl --allow-pickle --sha256 HEX \\
      --output runs/imported --bundle bundles/imported
  python jobs/import_learner.py --learner stage-2.pth --allow-pickle --sha256 HEX \\
      --labels labels.txt --size 256 --threshold 0.2 --output runs/imported
  python jobs/build_bundle.py --classifier runs/imported \\
      --vocabulary runs/imported/vocabulary.yaml --detector runs/detector ...
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from jeans_udf.bundle import open_bundle
from jeans_udf.conf_files import conf_file
from jeans_udf.errors import EXIT_USAGE, ConfigError, UsageError
from jeans_udf.training.assemble import classifier_of_run
from jeans_udf.training.learner_bundle import check_exchange, exchange_classifier
from jeans_udf.training.learner_file import LearnerFile, read_learner
from jeans_udf.training.learner_labels import (
    Outputs,
    match_labels,
    new_vocabulary,
    read_label_list,
)
from jeans_udf.training.learner_run import ImportedLearner, import_learner, write_run
from jeans_udf.vocabulary import load_vocabulary


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="import_learner.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--learner", required=True, type=Path, metavar="FILE", help="export.pkl, or a .pth")
    add("--allow-pickle", action="store_true", help="open it, restricted")
    add("--sha256", metavar="HEX", help="the file's, from whom it is; checked before it is opened")
    add("--vocabulary", metavar="YAML", help="groups of the labels; left out: one is written")
    add("--categories-of", default=conf_file("vocabulary.yaml"), metavar="YAML",
        help="vocabulary whose categories the written one takes: the detector's")
    add("--labels", metavar="FILE|LIST",
        help="the learner's in the order of its outputs, one a line or parted by commas; needed "
        "for a .pth")
    add("--backbone", metavar="NAME", help="timm network of the body, where the file does not tell")
    add("--size", type=int, metavar="PIXELS",
        help="side of the pictures that the learner saw; needed for a .pth")
    add("--threshold", type=float, default=0.5, metavar="SCORE",
        help="least score of a label, 0 to 1 (default 0.5; the v1 notebooks took 0.2)")
    add("--output", required=True, type=Path, metavar="RUN", help="folder to write")
    add("--bundle", type=Path, metavar="DIR", help="write a bundle, too")
    add("--bundle-from", default="default", metavar="BUNDLE", help="whose detector it takes")
    add("--overwrite", action="store_true", help="replace --output and --bundle when they exist")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    try:
        run(args)
    except UsageError as error:
        print(f"import_learner: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


def run(args: argparse.Namespace) -> None:
    _check(args)
    learner = read_learner(args.learner, allow_pickle=args.allow_pickle, sha256=args.sha256)
    outputs = outputs_of(args, learner)
    base = open_bundle(args.bundle_from) if args.bundle else None
    if base is not None:
        check_exchange(base, outputs.vocabulary, args.bundle)
    imported = import_learner(
        learner, outputs, backbone=args.backbone, size=args.size, threshold=args.threshold
    )
    write_run(imported, learner, args.learner, args.output)
    print_report(imported)
    print(f"wrote {args.output}: classifier.safetensors, classifier.json, vocabulary.yaml, …")
    if base is not None:
        source = {"name": f"fastai learner {args.learner.name}", "sha256": learner.sha256}
        bundle = exchange_classifier(
            base, classifier_of_run(args.output), outputs.vocabulary, args.bundle, source
        )
        print(f"wrote {bundle.directory}: {bundle.model_version}; the detector's score thresholds "
              f"are those of {base.model_version}, where a verdict of its classifier lowered the "
              "scores: fit them with jobs/build_bundle.py, or expect more tagged")  # fmt: skip


def _check(args: argparse.Namespace) -> None:
    if not 0 < args.threshold < 1:
        raise ConfigError(f"--threshold: got {args.threshold}, wanted a number between 0 and 1")
    if args.size is not None and not 32 <= args.size <= 4096:
        raise ConfigError(f"--size: got {args.size}, wanted 32 to 4096 pixels")
    for option, path in (("--output", args.output), ("--bundle", args.bundle)):
        if path is not None and path.exists() and not args.overwrite:
            raise ConfigError(f"{option} {path}: exists; name another one, or give --overwrite")


def outputs_of(args: argparse.Namespace, learner: LearnerFile) -> Outputs:
    """The labels' order, by the options and the learner's file; raises `ConfigError`."""
    given = read_label_list(args.labels) if args.labels else None
    if given and learner.labels and given != learner.labels:
        raise ConfigError(
            f"--labels: the learner's file names others, or another order: "
            f"{', '.join(map(repr, learner.labels[:8]))}; leave the option out"
        )
    labels = learner.labels or given
    if labels is None:
        raise ConfigError(
            f"learner {args.learner}: does not name its labels; give them with --labels in the "
            "order of its outputs (learn.data.classes in v1, learn.dls.vocab in v2)"
        )
    if args.vocabulary:
        vocabulary = load_vocabulary(args.vocabulary)
        return match_labels(labels, vocabulary, one_label=learner.one_label)
    categories = load_vocabulary(args.categories_of).categories
    return new_vocabulary(labels, categories, one_label=learner.one_label)


def print_report(imported: ImportedLearner) -> None:
    print("mapped")
    for line in imported.mapped:
        print(f"    {line}")
    print("not mapped")
    for line in imported.unmapped:
        print(f"    {line}")


if __name__ == "__main__":
    sys.exit(main())

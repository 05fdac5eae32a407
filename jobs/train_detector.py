"""Train a detector on COCO annotations and write weights, config, metrics and plots.

conf/detectors/ holds one configuration for each architecture; --backbone lays it on the small
network for CPUs (lite0_fpn) or on a ResNet-50 (r50_fpn). The photos with annotations are learnt as
they are; photos of the COCO file without any, and those of --negatives, teach what is no garment.
Stop it at any time: the same command resumes from the last whole epoch. The weights of the epoch
that is best on the validation photos are kept. Give --photos and --annotations several times to
train on several sets.

Examples:
  Mask R-CNN on your own annotations (jobs/import_annotations.py made the COCO files)
    python jobs/train_detector.py --photos DIR --annotations my/instances_train.json \\
        --val-photos DIR --val-annotations my/instances_val.json --output runs/mask_rcnn
  another architecture, from a backbone's pretrained weights
    python scripts/imagenet_weights.py build/imagenet_lite0.safetensors
    python jobs/train_detector.py --config conf/detectors/retinanet.yaml \\
        --weights build/imagenet_lite0.safetensors --photos ... --output runs/retinanet
  Fast R-CNN, on what an RPN proposes
    python jobs/train_detector.py --config conf/detectors/rpn.yaml ... --output runs/rpn
    python jobs/write_proposals.py --detector runs/rpn ... --output runs/proposals.parquet
    python jobs/train_detector.py --config conf/detectors/fast_rcnn.yaml --proposer runs/rpn \\
        --proposals runs/proposals.parquet ... --output runs/fast_rcnn
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from torch import nn

from jeans_udf.conf_files import conf_file
from jeans_udf.errors import EXIT_USAGE, ConfigError, UsageError
from jeans_udf.evaluation.detector import evaluate_detector
from jeans_udf.evaluation.plots import plot_detector_training
from jeans_udf.models.detector import build_detector, open_proposer, read_detector_config
from jeans_udf.models.detector_config import set_categories, write_categories
from jeans_udf.training.augment import Jitter
from jeans_udf.training.coco import Photo, check_validation, read_coco
from jeans_udf.training.detector import train_detector
from jeans_udf.training.examples import Examples, Sampling
from jeans_udf.training.pretrained import load_pretrained
from jeans_udf.training.rate_finder import find_rate
from jeans_udf.training.recipe import PRECISIONS, Recipe, default_precision
from jeans_udf.training.sets import PhotoSets, read_sets
from jeans_udf.vocabulary import load_vocabulary


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _add_model(parser.add_argument_group("the model").add_argument)
    _add_photos(parser.add_argument_group("the photos").add_argument)
    _add_course(parser.add_argument_group("the course").add_argument)
    return parser


def _add_model(add: Any) -> None:
    add("--config", default=conf_file("detectors/mask_rcnn.yaml"), metavar="YAML",
        help="architecture")
    add("--backbone", default="lite0_fpn", metavar="NAME",
        help="a YAML, or one of conf/detectors/backbones; 'none' when --config says everything")
    add("--longest-side", type=int, metavar="PIXELS",
        help="photos are scaled to this longer side (default: the backbone's)")
    add("--weights", type=Path, metavar="FILE",
        help="safetensors to start from: a backbone, another training, or jobs/import_weights.py's")
    add("--proposer", type=Path, metavar="RUN", help="Fast R-CNN: output of the RPN's training")
    add("--vocabulary", default=conf_file("vocabulary.yaml"), help="names the categories in order")


def _add_photos(add: Any) -> None:
    add("--photos", action="append", required=True, metavar="DIR", help="training photos")
    add("--annotations", action="append", required=True, metavar="FILE",
        help="COCO file, one for each --photos")
    add("--proposals", action="append", default=[], metavar="FILE",
        help="Fast R-CNN: Parquet of write_proposals.py, one for each --photos")
    add("--negatives", nargs=2, action="append", default=[], metavar=("DIR", "LIST"),
        help="folder, and a text file of its photos that show no garment, one path a line")
    add("--val-photos", required=True, metavar="DIR", help="folder of validation photos")
    add("--val-annotations", required=True, metavar="FILE", help="their COCO file")
    add("--negative-share", type=float, default=Sampling.negatives, metavar="SHARE",
        help="photos without garments in an epoch, relative to those with (%(default)s)")
    add("--repeat-below", type=float, default=Sampling.repeat_below, metavar="SHARE",
        help="repeat photos of categories on a smaller share of them, as LVIS does (%(default)s)")
    add("--paste", type=float, default=Sampling.paste, metavar="SHARE",
        help="share of photos whose garments are laid on a photo without any (%(default)s)")


def _add_course(add: Any) -> None:
    add("--output", required=True, type=Path, metavar="RUN", help="folder; resumed when it exists")
    add("--epochs", type=int, default=Recipe.epochs, help="(%(default)s)")
    add("--batch-size", type=int, default=Sampling.batch_size, help="(%(default)s)")
    add("--learning-rate", type=float, default=Recipe.learning_rate, help="peak (%(default)s)")
    add("--find-rate", action="store_true",
        help="only try learning rates: writes learning_rate.png and proposes one")
    add("--warmup-steps", type=int, default=Recipe.warmup_steps, help="(%(default)s)")
    add("--average", type=float, default=Recipe.average,
        help="decay of the weights' average; lower it for a training of few steps (%(default)s)")
    add("--evaluate-every", type=int, default=Recipe.evaluate_every, metavar="EPOCHS",
        help="judge on the validation photos after so many epochs, and after the last "
        "(%(default)s)")
    add("--precision", choices=list(PRECISIONS),
        help="default: bfloat16 or float16 on a GPU, float32 on the CPU")
    add("--seed", type=int, default=0,
        help="of fresh weights, the photos' order and their augmentation (%(default)s)")
    add("--workers", type=int, default=4 if torch.cuda.is_available() else 1,
        help="threads that decode and augment photos ahead (%(default)s)")
    add("--threads", type=int, default=0, help="torch's CPU threads; 0: all cores")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N (default here: %(default)s)")


def read_config(args: argparse.Namespace, categories: tuple[str, ...]) -> CfgNode:
    """The architecture on its backbone, for the vocabulary's categories."""
    cfg = read_detector_config(args.config, None if args.backbone == "none" else args.backbone)
    set_categories(cfg, len(categories))
    if args.longest_side:
        cfg.INPUT.MIN_SIZE_TEST = cfg.INPUT.MAX_SIZE_TEST = args.longest_side
    return cfg


def read_training_photos(
    args: argparse.Namespace, cfg: CfgNode, categories: tuple[str, ...]
) -> PhotoSets:
    """The photos of the arguments; a Fast R-CNN must have proposals, nothing else may."""
    wants = cfg.MODEL.PROPOSAL_GENERATOR.NAME == "PrecomputedProposals"
    wants = wants and cfg.MODEL.META_ARCHITECTURE == "GeneralizedRCNN"
    if wants and args.paste:
        raise ConfigError("--paste: a Fast R-CNN's proposals belong to the photos as they are")
    if wants != bool(args.proposals) or wants != bool(args.proposer):
        raise ConfigError(
            f"{args.config}: "
            + ("a Fast R-CNN wants --proposer RUN and a --proposals file for each --photos"
               if wants else "only a Fast R-CNN takes --proposer and --proposals")
        )
    return read_sets(args.photos, args.annotations, categories,
                     negatives=args.negatives, proposals=args.proposals)  # fmt: skip


def build_model(args: argparse.Namespace, cfg: CfgNode) -> nn.Module:
    """The model with the weights that it starts from."""
    # Before the model is built: its fresh weights are part of what a seed repeats.
    torch.manual_seed(args.seed)
    model = build_detector(cfg)
    if args.weights:
        match = load_pretrained(model, args.weights)
        print(f"{args.weights}: {len(match.tensors)} tensors taken, {len(match.differing)} of "
              f"another shape and {len(match.missing)} missing stay fresh", file=sys.stderr)
    return model


def main() -> int:
    args = parser().parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        return run(args)
    except UsageError as error:
        print(f"train_detector: {error}", file=sys.stderr)
        return EXIT_USAGE


def run(args: argparse.Namespace) -> int:
    """Train as the arguments say; raises `UsageError` before anything starts if it cannot be."""
    device = torch.device(args.device)
    categories = load_vocabulary(args.vocabulary).categories
    cfg = read_config(args, categories)
    sets = read_training_photos(args, cfg, categories)
    validation = read_coco(args.val_photos, args.val_annotations, categories)
    check_validation(validation, args.val_annotations)
    sampling = Sampling(args.batch_size, args.negative_share, args.repeat_below, args.paste,
                        args.seed)  # fmt: skip
    recipe = Recipe(epochs=args.epochs, learning_rate=args.learning_rate, average=args.average,
                    warmup_steps=args.warmup_steps, evaluate_every=args.evaluate_every,
                    precision=args.precision or default_precision(device), seed=args.seed)
    side = cfg.INPUT.MAX_SIZE_TEST
    examples = Examples(sets.photos, Jitter(side), sampling, sets.arrays, args.workers)
    examples.check()
    check_begun(args.output, cfg)
    model = build_model(args, cfg)
    _tell(examples, validation)
    if args.find_rate:
        rate = find_rate(model, examples, recipe, device, args.output / "learning_rate.png")
        print(f"--learning-rate {rate:.1e}; the curve is {args.output}/learning_rate.png")
        return 0
    args.output.mkdir(parents=True, exist_ok=True)
    proposer = copy_proposer(args, side) if args.proposer else None
    # Whole, so that the run can be opened without the files it was put together from.
    (args.output / "detector.yaml").write_text(cfg.dump())
    write_categories(args.output, categories)
    train_detector(
        model, examples,
        lambda average: evaluate_detector(average, validation, categories, side, device,
                                          proposer=proposer),
        recipe=recipe, output=args.output, device=device,
    )  # fmt: skip
    plot_detector_training(args.output)
    print(f"wrote {args.output}: detector.safetensors, detector.yaml, metrics.json, training.png\n"
          f"next: python jobs/evaluate.py --detector {args.output} --photos {args.val_photos} "
          f"--annotations {args.val_annotations} --output {args.output}/evaluation")
    return 0


def check_begun(output: Path, cfg: CfgNode) -> None:
    """Raise `ConfigError` when a training of another model was begun in ``output``."""
    file = output / "detector.yaml"
    if (output / "checkpoint").is_dir() and file.is_file() and file.read_text() != cfg.dump():
        raise ConfigError(
            f"{output}: a training with another --config, --backbone, --longest-side or vocabulary "
            "was begun there; go on with the old ones, or name a fresh --output"
        )


def copy_proposer(args: argparse.Namespace, side: int) -> nn.Module:
    """The RPN of ``args.proposer``, copied beside the detector that will run with it."""
    own = read_detector_config(args.proposer / "detector.yaml").INPUT.MAX_SIZE_TEST
    if own != side:
        raise ConfigError(
            f"--proposer {args.proposer}: sees photos at {own} pixels, this detector at {side}; "
            "both look at the same canvas, so give the same --longest-side"
        )
    for name in ("yaml", "safetensors"):
        shutil.copyfile(args.proposer / f"detector.{name}", args.output / f"proposer.{name}")
    return open_proposer(args.output / "proposer.yaml", args.output / "proposer.safetensors")


def _tell(examples: Examples, validation: list[Photo]) -> None:
    print(f"{len(examples.positives)} photos with garments, {len(examples.negatives)} without; "
          f"{len(validation)} for validation", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

"""Convert pretrained weights of a detector to safetensors, once, offline; no job reads others.

Takes Detectron2's model zoo (.pkl), PyTorch state dicts (.pth, .pt) and safetensors. The first two
are pickles, which can run code: they are opened with --allow-pickle alone, after their --sha256 was
checked, and by readers that know tensors and refuse anything else. Names and shapes are matched to
the model of --config and --backbone, which are those of the training to come. Layers whose size is
the number of categories or anchors keep fresh weights where it differs, as does what else has
another shape (a narrower pyramid, say); the summary and the report list them. The network below the
pyramid has to fit as a whole.

Pixels are part of what weights were trained on: MODEL.PIXEL_MEAN and PIXEL_STD of the config must
be theirs. This product's pictures are RGB. Most of Detectron2's zoo saw BGR: give --bgr, and write
the three means in RGB order.

Example:
  python jobs/import_weights.py --weights model_final.pkl --allow-pickle --sha256 HEX --bgr \\
      --config conf/detectors/mask_rcnn.yaml --backbone r50_fpn --output runs/coco_r50
  python jobs/train_detector.py --config conf/detectors/mask_rcnn.yaml --backbone r50_fpn \\
      --weights runs/coco_r50.safetensors ...
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from jeans_udf.conf_files import conf_file
from jeans_udf.errors import EXIT_USAGE, ConfigError, UsageError
from jeans_udf.models.detector_config import build_detector, read_detector_config, set_categories
from jeans_udf.training.pretrained import Match, match_weights, reverse_channels
from jeans_udf.training.weight_files import read_weights
from jeans_udf.vocabulary import load_vocabulary

SHOWN = 8
"""Lines of each list in the summary; the report has them all."""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="import_weights.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--weights", required=True, type=Path, metavar="FILE",
        help="file to convert: .pkl, .pth, .safetensors")
    add("--allow-pickle", action="store_true", help="open a .pkl, .pth or .pt, restricted")
    add("--sha256", metavar="HEX",
        help="the file's, as its publisher states it; checked before it is opened")
    add("--config", default=conf_file("detectors/mask_rcnn.yaml"), metavar="YAML",
        help="architecture")
    add("--backbone", default="lite0_fpn", metavar="NAME",
        help="a YAML, or one of conf/detectors/backbones; 'none' when --config says everything")
    add("--vocabulary", default=conf_file("vocabulary.yaml"), help="names the categories in order")
    add("--bgr", action="store_true", help="the weights were trained on BGR pictures: reverse the "
        "input channels of the first convolution")  # fmt: skip
    add("--half", action="store_true", help="keep half precision; else all is written as float32")
    add("--output", required=True, type=Path, metavar="NAME",
        help="writes NAME.safetensors and NAME.json, a report")
    add("--overwrite", action="store_true", help="replace the two when they exist")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    args = parse_arguments(arguments)
    try:
        convert(args)
    except UsageError as error:
        print(f"import_weights: {error}", file=sys.stderr)
        return EXIT_USAGE
    return 0


def convert(args: argparse.Namespace) -> None:
    name = str(args.output).removesuffix(".safetensors")
    target, report = Path(f"{name}.safetensors"), Path(f"{name}.json")
    taken = [file for file in (target, report) if file.exists()]
    if taken and not args.overwrite:
        raise ConfigError(f"--output {taken[0]}: exists; name another one, or give --overwrite")
    weights = read_weights(args.weights, allow_pickle=args.allow_pickle, sha256=args.sha256)
    cfg = read_detector_config(args.config, None if args.backbone == "none" else args.backbone)
    set_categories(cfg, len(load_vocabulary(args.vocabulary).categories))
    model = build_detector(cfg)
    match = match_weights(model, weights, args.weights)
    if args.bgr:
        print(f"reversed the input channels of {reverse_channels(match, model)}")
    content = json.dumps(report_of(match, args, weights.sha256), indent=1) + "\n"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file(written(match, keep_half=args.half), target)
        report.write_text(content)
    except (OSError, SafetensorError) as error:
        raise ConfigError(f"--output {target}: cannot be written: {error}") from None
    print_summary(match, model)
    print(f"wrote {target} and {report}")


def written(match: Match, *, keep_half: bool) -> dict[str, torch.Tensor]:
    """The tensors to save: float32 but for integers, and half precision that is to stay."""
    halves = (torch.float16, torch.bfloat16)
    return {
        name: (
            tensor.float()
            if tensor.is_floating_point() and not (keep_half and tensor.dtype in halves)
            else tensor
        ).clone(memory_format=torch.contiguous_format)
        for name, tensor in match.tensors.items()
    }


def report_of(match: Match, args: argparse.Namespace, sha256: str) -> dict[str, Any]:
    return {
        "source": args.weights.name,
        "sha256": sha256,
        "config": args.config,
        "backbone": args.backbone,
        "bgr": args.bgr,
        "matched": [{"name": n, "source": source} for n, source in match.sources.items()],
        "reinitialised": [
            {"name": name, "source_shape": theirs, "model_shape": ours}
            for name, (theirs, ours) in match.differing.items()
        ],
        "missing": match.missing,
        "unused": match.unused,
    }


def print_summary(match: Match, model: torch.nn.Module) -> None:
    state = model.state_dict()
    filled = sum(tensor.numel() for tensor in match.tensors.values())
    share = filled / sum(tensor.numel() for tensor in state.values())
    print(f"matched        {len(match.tensors):5d} of the model's {len(state)} tensors, "
          f"{share:.1%} of its numbers")  # fmt: skip
    _print_list("reinitialised", "another shape, so fresh", [
        f"{name}  {theirs} in the file, {ours} in the model"
        for name, (theirs, ours) in match.differing.items()
    ])  # fmt: skip
    _print_list("missing", "not in the file, so fresh", match.missing)
    _print_list("unused", "in the file alone", match.unused)
    if match.unexpected:
        print(f"note: {len(match.unexpected)} of the reinitialised tensors are not for categories "
              "or anchors: the config's widths are not those of the file")  # fmt: skip


def _print_list(title: str, meaning: str, lines: list[str]) -> None:
    print(f"{title:14s} {len(lines):5d} {meaning}")
    for line in lines[:SHOWN]:
        print(f"    {line}")
    if len(lines) > SHOWN:
        print(f"    ... and {len(lines) - SHOWN} more, in the report")


if __name__ == "__main__":
    sys.exit(main())

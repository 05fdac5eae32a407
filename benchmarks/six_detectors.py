"""All six architectures on the same photos, with the same schedule, side by side.

Trains each of conf/detectors/*.yaml by jobs/train_detector.py (an RPN first, whose proposals the
Fast R-CNN learns from) and compares them by jobs/evaluate.py: parameters, training time, COCO AP,
recall of proposals, images a second. A stopped run goes on when the same command is given again.

    python benchmarks/six_detectors.py --photos DIR --annotations DIR/instances_train.json \\
        --val-photos DIR --val-annotations DIR/instances_val.json --weights BACKBONE \\
        --output runs/six --epochs 2 --longest-side 256
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

CONFIGS = Path(__file__).resolve().parents[1] / "conf" / "detectors"
JOBS = CONFIGS.parents[1] / "jobs"
ORDER = ("rpn", "mask_rcnn", "faster_rcnn", "fast_rcnn", "retinanet", "rfcn")
"""The RPN first: the Fast R-CNN needs its proposals."""
HEADS = ("proposal_generator.", "roi_heads.", "head.")
"""First parts of the names of what the architectures do not share."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    for name in ("photos", "annotations", "val-photos", "val-annotations"):
        add(f"--{name}", required=True)
    add("--weights", required=True,
        help="safetensors of which each takes the backbone and the pyramid, and no head")
    add("--backbone", default="lite0_fpn")
    add("--output", required=True, type=Path)
    add("--epochs", default="2")
    add("--batch-size", default="4")
    add("--longest-side", default="256", help="pixels")
    add("--precision", default="float32")
    add("--threads", default="1", help="torch's CPU threads")
    add("--evaluate-only", action="store_true", help="the trainings are done; measure speed again")
    return parser.parse_args()


def shared_weights(args: argparse.Namespace) -> Path:
    """The backbone and the pyramid of ``args.weights``: what all six have in common."""
    file = args.output / "shared.safetensors"
    if not file.is_file():
        tensors = load_file(args.weights)
        common = {k: v for k, v in tensors.items() if not k.startswith(HEADS)}
        args.output.mkdir(parents=True, exist_ok=True)
        save_file(common, file)
    return file


def train(args: argparse.Namespace, name: str) -> None:
    """Train one architecture to ``args.output/name``; a finished one is left as it is."""
    run_folder, more = args.output / name, []
    if name == "fast_rcnn":
        proposals = args.output / "proposals.parquet"
        if not proposals.is_file():
            run("write_proposals", "--detector", args.output / "rpn", "--photos", args.photos,
                "--annotations", args.annotations, "--output", proposals,
                "--threads", args.threads)  # fmt: skip
        more = ["--proposer", args.output / "rpn", "--proposals", proposals]
    run("train_detector", "--config", CONFIGS / f"{name}.yaml", "--backbone", args.backbone,
        "--photos", args.photos, "--annotations", args.annotations,
        "--val-photos", args.val_photos, "--val-annotations", args.val_annotations,
        "--weights", shared_weights(args), "--output", run_folder, "--epochs", args.epochs,
        "--batch-size", args.batch_size,
        "--evaluate-every", args.epochs, "--longest-side", args.longest_side,
        "--average", "0.99", "--warmup-steps", "100", "--precision", args.precision,
        "--threads", args.threads, *more)  # fmt: skip


def run(job: str, *arguments: object) -> None:
    """Run one of the jobs; stop at the first that fails."""
    print("$", f"jobs/{job}.py", *arguments, flush=True)
    subprocess.run([sys.executable, JOBS / f"{job}.py", *map(str, arguments)], check=True)


def main() -> int:
    args = parse_arguments()
    if not args.evaluate_only:
        for name in ORDER:
            train(args, name)
    detectors = [part for name in ORDER for part in ("--detector", args.output / name)]
    run("evaluate", *detectors, "--photos", args.val_photos, "--annotations", args.val_annotations,
        "--output", args.output / "evaluation", "--threads", args.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())

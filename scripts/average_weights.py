"""Average the best and the last weights of a detector's training, in place of the best alone.

Late epochs draw boxes and masks better, early ones confuse categories less; the mean of both is
better than either ("model soups", Wortsman et al., 2022). Writes a folder like the training's, for
jobs/build_bundle.py and jobs/train_classifier.py. Judge it (jobs/evaluate.py): metrics.json still
holds the best epoch's figures.

    python scripts/average_weights.py runs/detector --output runs/averaged
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from jeans_udf.training.averaging import mean_weights

LAST = "average/"
"""Prefix of the last epoch's weights in a checkpoint."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="output of a finished jobs/train_detector.py")
    parser.add_argument("--output", required=True, type=Path, help="folder to write")
    args = parser.parse_args()
    file = args.run / "checkpoint" / "tensors.safetensors"
    if not file.is_file():
        parser.error(f"{file} is missing; wanted the output of a finished jobs/train_detector.py")
    checkpoint = load_file(file)
    last = {k.removeprefix(LAST): v for k, v in checkpoint.items() if k.startswith(LAST)}
    args.output.mkdir(parents=True, exist_ok=True)
    for name in ("detector.yaml", "categories.json", "metrics.json"):
        shutil.copyfile(args.run / name, args.output / name)
    best = load_file(args.run / "detector.safetensors")
    save_file(mean_weights([best, last]), args.output / "detector.safetensors")
    print(f"wrote {args.output}: the mean of {len(best)} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())

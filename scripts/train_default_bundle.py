"""Train the default bundle again, from labelled photos to jeans_udf/bundles/default.

DATA holds photos/, weak_photos/ and annotations/ (instances_{train,val}.json, attributes_{train,
val}.csv, weak_tags.csv) of the sets that conf/training_data.yaml names. Each step resumes, so the
same command goes on after a stop. About two hours on two CPU cores.

    python scripts/train_default_bundle.py --data DATA
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

from jeans_udf.drawing import draw_dataset

BOTTOMS = {
    "jeans", "pants", "shorts", "leggings", "tights", "stockings", "romper", "suit", "bodysuit",
}  # fmt: skip
"""Tags of whole photos that may hide a bottom garment; photos without any are negatives."""


def write_negatives(tags: Path, target: Path) -> int:
    """Names of the photos whose tags name no bottom garment, one a line."""
    with tags.open(newline="", encoding="utf-8") as lines:
        names = [r["path"] for r in csv.DictReader(lines) if not BOTTOMS & set(r["tags"].split())]
    target.write_text("\n".join(names) + "\n", encoding="utf-8")
    return len(names)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints and plots")
    parser.add_argument("--output", default="jeans_udf/bundles/default")
    parser.add_argument("--detector-epochs", default="11")
    parser.add_argument("--classifier-epochs", default="16")
    args = parser.parse_args()
    runs, notes, drawn = args.runs, args.data / "annotations", args.runs / "drawn"
    runs.mkdir(parents=True, exist_ok=True)
    backbone, negatives = runs / "imagenet_lite0.safetensors", runs / "negatives.txt"
    print(write_negatives(notes / "weak_tags.csv", negatives), "negatives")
    if not (drawn / "annotations").is_dir():
        draw_dataset(drawn, 420, seed=11)
    validation = ["--val-photos", args.data / "photos",
                  "--val-annotations", notes / "instances_val.json"]
    train = ["--photos", args.data / "photos", "--annotations", notes / "instances_train.json",
             "--photos", drawn / "photos", "--annotations", drawn / "annotations/instances.json"]
    labels = ["--labels", notes / "attributes_train.csv",
              "--labels", drawn / "annotations/attributes.csv",
              "--val-labels", notes / "attributes_val.csv"]
    run("scripts/imagenet_weights.py", backbone)
    run("jobs/train_detector.py", *train, *validation, "--backbone", backbone,
        "--negatives", args.data / "weak_photos", negatives,
        "--output", runs / "detector", "--epochs", args.detector_epochs)
    run("jobs/train_classifier.py", *train, *labels, *validation, "--weights", backbone,
        "--detector", runs / "detector", "--negatives", args.data / "weak_photos", negatives,
        "--output", runs / "classifier", "--epochs", args.classifier_epochs)
    run("jobs/build_bundle.py", "--name", "jeans-lite0", "--version", "1", *validation,
        "--detector", runs / "detector", "--classifier", runs / "classifier",
        "--training-data", "conf/training_data.yaml", "--output", args.output)
    return 0


def run(*command: object) -> None:
    """Run one of the repository's scripts; stop at the first that fails."""
    print("$", *command, flush=True)
    subprocess.run([sys.executable, *map(str, command)], check=True)


if __name__ == "__main__":
    sys.exit(main())

"""Train the default bundle again, from labelled photos to jeans_udf/bundles/default.

DATA holds photos/, weak_photos/ and annotations/ (instances_{train,val}.json, attributes_{train,
val}.csv, weak_tags.csv) of the sets that conf/training_data.yaml names. Each step resumes, so the
same command goes on after a stop.

A bundle is trained in generations. The first starts from ImageNet; each further one from the bundle
before (--from-bundle), which also draws masks for the photos of which only tags are known. The
shipped one is the third generation: about an hour and a half a generation on one core of a server's
CPU.

    python scripts/train_default_bundle.py --data DATA --output bundles/1
    python scripts/train_default_bundle.py --data DATA --generation 2 --from-bundle bundles/1/ \\
        --runs runs/2 --output bundles/2
    python scripts/train_default_bundle.py --data DATA --generation 3 --from-bundle bundles/2/ \\
        --runs runs/3
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from jeans_udf.bundle import open_bundle
from jeans_udf.drawing import draw_dataset

BOTTOMS = {
    "jeans", "pants", "shorts", "leggings", "tights", "stockings", "romper", "suit", "bodysuit",
}  # fmt: skip
"""Tags of whole photos that may hide a bottom garment; photos without any are negatives."""


@dataclass(frozen=True)
class Generation:
    """How one generation is trained; sides in pixels, shares relative to photos with garments."""

    drawn: int
    longest_side: int
    epochs: int
    learning_rate: str
    negative_share: str


GENERATIONS = (
    Generation(420, 384, 11, "4e-4", "0.4"),
    Generation(160, 384, 10, "4e-4", "0.4"),
    Generation(160, 448, 4, "2.5e-4", "0.5"),
)


def write_negatives(tags: Path, target: Path) -> int:
    """Names of the photos whose tags name no bottom garment, one a line."""
    with tags.open(newline="", encoding="utf-8") as lines:
        names = [r["path"] for r in csv.DictReader(lines) if not BOTTOMS & set(r["tags"].split())]
    target.write_text("\n".join(names) + "\n", encoding="utf-8")
    return len(names)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--generation", type=int, choices=range(1, len(GENERATIONS) + 1), default=1)
    parser.add_argument("--from-bundle", metavar="NAME_OR_DIR", help="the generation before")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="checkpoints and plots")
    parser.add_argument("--output", default="jeans_udf/bundles/default")
    parser.add_argument("--precision", default="bfloat16", help="the detector's")
    args = parser.parse_args()
    if (args.generation == 1) != (args.from_bundle is None):
        parser.error("--from-bundle names the bundle before the second and third generation")
    return args


def main() -> int:
    args = parse_arguments()
    runs, notes, drawn = args.runs, args.data / "annotations", args.runs / "drawn"
    runs.mkdir(parents=True, exist_ok=True)
    course = GENERATIONS[args.generation - 1]
    negatives = runs / "negatives.txt"
    print(write_negatives(notes / "weak_tags.csv", negatives), "negatives")
    if not (drawn / "annotations").is_dir():
        draw_dataset(drawn, course.drawn, seed=11)
    validation = ["--val-photos", args.data / "photos",
                  "--val-annotations", notes / "instances_val.json"]
    train = ["--photos", args.data / "photos", "--annotations", notes / "instances_train.json",
             "--photos", drawn / "photos", "--annotations", drawn / "annotations/instances.json"]
    none = ["--negatives", args.data / "weak_photos", negatives]
    backbone = runs / "imagenet_lite0.safetensors"
    run("scripts/imagenet_weights.py", backbone)
    run("jobs/train_detector.py", *train, *pseudo_labelled(args), *validation, *none,
        "--weights", start_weights(args) or backbone, "--output", runs / "detector",
        "--epochs", course.epochs, "--longest-side", course.longest_side,
        "--learning-rate", course.learning_rate, "--negative-share", course.negative_share,
        "--repeat-below", "0.25", "--paste", "0.12",
        "--warmup-steps", "100", "--precision", args.precision, "--seed", "5")  # fmt: skip
    averaged = runs / "averaged"
    run("scripts/average_weights.py", runs / "detector", "--output", averaged)
    run("jobs/train_classifier.py", *validation, *none, "--recipe", "default",
        *train, "--labels", notes / "attributes_train.csv",
        "--labels", drawn / "annotations/attributes.csv",
        "--val-labels", notes / "attributes_val.csv", "--detector", averaged, "--weights", backbone,
        "--output", runs / "classifier")  # fmt: skip
    run("jobs/build_bundle.py", "--name", "jeans-lite0", "--version", "3", *validation,
        "--detector", averaged, "--classifier", runs / "classifier",
        "--training-data", "conf/training_data.yaml", "--output", args.output)
    return 0


def start_weights(args: argparse.Namespace) -> Path | None:
    """The detector of the bundle before; None for the first generation."""
    if not args.from_bundle:
        return None
    bundle = open_bundle(args.from_bundle)
    return bundle.path(bundle.manifest.detector.weights)


def pseudo_labelled(args: argparse.Namespace) -> list[object]:
    """Arguments that add the photos whose masks the bundle before has drawn."""
    if not args.from_bundle:
        return []
    file, photos = args.runs / "pseudo.json", args.data / "weak_photos"
    if not file.is_file():
        run("scripts/pseudo_labels.py", "--photos", photos, "--bundle", args.from_bundle,
            "--tags", args.data / "annotations/weak_tags.csv", "--output", file)
    return ["--photos", photos, "--annotations", file]


def run(*command: object) -> None:
    """Run one of the repository's scripts; stop at the first that fails."""
    print("$", *command, flush=True)
    subprocess.run([sys.executable, *map(str, command)], check=True)


if __name__ == "__main__":
    sys.exit(main())

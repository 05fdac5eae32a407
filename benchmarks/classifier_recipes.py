"""The classifier's recipes side by side: trained on the same crops, judged on the same garments.

Runs jobs/train_classifier.py once for each recipe (a run that is finished is not repeated) and
prints one Markdown table. Everything after -- goes to the job: photos, labels, annotations.

Example:
  python benchmarks/classifier_recipes.py --output runs/recipes --recipes default progressive \\
      fine_tune -- --photos DIR --annotations DIR/instances_train.json \\
      --labels DIR/attributes_train.csv --val-photos DIR \\
      --val-annotations DIR/instances_val.json --val-labels DIR/attributes_val.csv \\
      --detector jeans_udf/bundles/default --backbone tf_efficientnet_lite0 \\
      --weights build/imagenet_lite0.safetensors
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COLUMNS = {
    "micro F1": lambda m: m["micro_f1"],
    "macro F1": lambda m: m["macro_f1"],
    "of 10 or more": lambda m: m["macro_f1_common"],
    "F-beta": lambda m: m["f_beta"],
    "mAP": lambda m: m["mean_average_precision"],
    "wash right": lambda m: m["groups"]["wash"]["answered_right"],
    "wash abstained": lambda m: m["groups"]["wash"]["abstained"],
    "notebook's F-beta": lambda m: m["notebook"]["f_beta"],
    "notebook's accuracy_multi": lambda m: m["notebook"]["accuracy_multi"],
    "ECE before": lambda m: m["calibration"]["all"]["ece_before"],
    "ECE after": lambda m: m["calibration"]["all"]["ece_after"],
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipes", nargs="+", default=["default", "progressive", "fine_tune"])
    parser.add_argument("--output", type=Path, required=True, help="a folder in it for each recipe")
    parser.add_argument("job", nargs=argparse.REMAINDER, help="-- and the job's own arguments")
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    arguments = args.job[1:] if args.job[:1] == ["--"] else args.job
    print("| recipe | " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " --- |" * len(COLUMNS), flush=True)
    for recipe in args.recipes:
        folder = args.output / Path(recipe).stem
        if not (folder / "metrics.json").is_file():
            subprocess.run(
                [sys.executable, "jobs/train_classifier.py", *arguments, "--recipe", recipe,
                 "--output", str(folder)],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        print(row(recipe, json.loads((folder / "metrics.json").read_text())), flush=True)
    return 0


def row(recipe: str, metrics: dict[str, Any]) -> str:
    values = [value(metrics) for value in COLUMNS.values()]
    cells = ["–" if value is None else f"{value:.3f}" for value in values]
    return f"| {recipe} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())

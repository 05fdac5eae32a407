"""Let a trained RPN write its proposals for photos to a file, for training a Fast R-CNN on them.

The file is Parquet with a row a photo: image_id (the photo's path below its folder), boxes (XYXY,
pixels of the upright photo) and scores (0 to 1), best first. Proposals of another source in the
same form serve as well.

Example:
  python jobs/write_proposals.py --detector runs/rpn --photos DIR \\
      --annotations DIR/instances_train.json --output runs/proposals_train.parquet
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from jeans_udf.conf_files import conf_file
from jeans_udf.errors import EXIT_USAGE, ConfigError, UsageError
from jeans_udf.evaluation.detector import propose_photos
from jeans_udf.evaluation.proposals import write_proposals
from jeans_udf.models.detector import open_detector
from jeans_udf.training.coco import read_coco
from jeans_udf.training.progress import Progress
from jeans_udf.vocabulary import load_vocabulary


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--detector", required=True, type=Path, metavar="RUN",
        help="output of train_detector.py with conf/detectors/rpn.yaml")
    add("--photos", required=True, metavar="DIR", help="folder of photos")
    add("--annotations", required=True, metavar="FILE", help="COCO file that lists them")
    add("--vocabulary", default=conf_file("vocabulary.yaml"), metavar="FILE",
        help="names the categories in order (default: %(default)s)")
    add("--output", required=True, type=Path, metavar="FILE", help="Parquet file to write")
    add("--threads", type=int, default=0, help="torch's CPU threads; 0: all cores")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N (default here: %(default)s)")
    return parser


def main() -> int:
    args = parser().parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        categories = load_vocabulary(args.vocabulary).categories
        photos = read_coco(args.photos, args.annotations, categories)
        detector = open_detector(args.detector, torch.device(args.device))
        if not detector.is_proposer:
            raise ConfigError(f"--detector {args.detector}: wanted an RPN (rpn.yaml)")
        progress = Progress(len(photos), "photos", 1)
        found = propose_photos(detector, photos, tell=progress.update)
        args.output.parent.mkdir(parents=True, exist_ok=True)
        names = {p.coco_id: p.path.relative_to(args.photos).as_posix() for p in photos}
        write_proposals({names[k]: proposals for k, proposals in found.items()}, args.output)
    except UsageError as error:
        print(f"write_proposals: {error}", file=sys.stderr)
        return EXIT_USAGE
    boxes = sum(len(proposals) for proposals in found.values())
    print(f"wrote {args.output}: {boxes} proposals for {len(found)} photos")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Judge detectors on labelled photos: figures, plots and a page with pictures of the errors.

--detector takes the output folder of train_detector.py and judges the detector alone; --bundle
takes a bundle, by its directory or by name, and judges the whole pass of detector and classifier.
Give several of either for a table that compares them. A region proposal network is judged by its
recall, and its proposals are written for detectors that are trained on them.

Examples:
  python jobs/evaluate.py --bundle default --photos DIR \\
      --annotations DIR/instances_val.json --output build/evaluation
  python jobs/evaluate.py --detector runs/mask_rcnn --detector runs/retinanet --photos DIR \\
      --annotations DIR/instances_val.json --group-pattern '^(street|flat)_' --output build/compared

Open evaluation.html in a browser, or look at errors.png.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from jeans_udf.conf_files import conf_file
from jeans_udf.errors import EXIT_OK, EXIT_USAGE, ConfigError, UsageError
from jeans_udf.evaluation.compare import comparison_listing, comparison_row, write_comparison
from jeans_udf.evaluation.compare import markdown as as_lines
from jeans_udf.evaluation.groups import groups_by_pattern, groups_by_table
from jeans_udf.evaluation.judge import Given, judge
from jeans_udf.evaluation.proposals import read_proposals
from jeans_udf.evaluation.speed import device_name
from jeans_udf.evaluation.subject import Subject, open_bundle_subject, open_run
from jeans_udf.evaluation.truth import Truth, read_truth
from jeans_udf.training.progress import Progress
from jeans_udf.vocabulary import load_vocabulary


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="evaluate.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--detector", action="append", default=[], type=Path, metavar="FOLDER",
        help="output folder of train_detector.py; may be given several times")
    add("--bundle", action="append", default=[], metavar="NAME_OR_DIR",
        help="a bundle: 'default', or a directory with a slash; may be given several times")
    add("--photos", required=True, type=Path, metavar="DIR", help="folder of labelled photos")
    add("--annotations", required=True, metavar="FILE", help="their COCO file")
    add("--output", required=True, type=Path, metavar="DIR",
        help="folder to write; of several detectors each gets one within it")
    add("--vocabulary", default=conf_file("vocabulary.yaml"), metavar="FILE",
        help="names the categories of --detector in order (default: %(default)s)")
    add("--threshold", type=float, default=0.5, metavar="SCORE",
        help="least score where errors of --detector are counted and shown (default: %(default)s); "
        "a bundle has its own")
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument("--group-pattern", metavar="REGEX",
        help="judge groups of photos apart, by the one group that REGEX finds in a photo's path")
    groups.add_argument("--groups", metavar="CSV",
        help="the same, by a CSV with the columns path and --group-column")
    add("--group-column", default="group", metavar="NAME", help="(default: %(default)s)")
    add("--proposals", metavar="FILE",
        help="proposals.parquet of a judged proposal network, for a Fast R-CNN without its own")
    add("--limit", type=int, metavar="N", help="only N photos, taken evenly over the file")
    add("--no-speed", action="store_true", help="do not measure photos a second")
    add("--threads", type=int, default=0, help="torch's CPU threads; 0: all cores")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N (default here: %(default)s)")
    return parser  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        device = checked_device(options.device)
        check(options)
        if options.threads:
            torch.set_num_threads(options.threads)
        subjects = open_subjects(options, device)
        truths = {c: read_photos(options, c) for c in {s.categories for s in subjects}}
        given = [proposals_of(options, s, truths[s.categories]) for s in subjects]
        places = folders(options.output, subjects)
        if len(subjects) > 1:
            # As the folders are called: two detectors may have one name.
            subjects = [replace(s, name=p.name) for s, p in zip(subjects, places, strict=True)]
        metrics = [
            judge_one(options, subject, truths[subject.categories], place, proposals)
            for subject, place, proposals in zip(subjects, places, given, strict=True)
        ]
        report(options.output, metrics, device)
    except UsageError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return EXIT_USAGE
    except OSError as error:
        print(f"evaluate: {error.filename or options.output}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE
    return EXIT_OK


def checked_device(name: str) -> torch.device:
    """Raises `ConfigError` for a device that this machine lacks."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"--device {name!r}: {str(error).splitlines()[0]}; wanted cpu, or cuda on a machine "
            "with a GPU"
        ) from None
    return device


def check(options: argparse.Namespace) -> None:
    """Raises `ConfigError` for values that no evaluation can do with."""
    if not options.detector and not options.bundle:
        raise ConfigError("nothing to judge: give --detector FOLDER or --bundle NAME_OR_DIR")
    if not 0 <= options.threshold <= 1:
        raise ConfigError(f"--threshold: got {options.threshold}, wanted a score of 0 to 1")
    for name, least in (("limit", 1), ("threads", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise ConfigError(f"--{name}: got {value}, wanted at least {least}")
    if options.output.exists() and not options.output.is_dir():
        raise ConfigError(f"--output {options.output}: is a file; wanted a folder to write")


def open_subjects(options: argparse.Namespace, device: torch.device) -> list[Subject]:
    """All of them before any photo is run, so that a wrong one is told at once."""
    subjects = []
    if options.detector:
        categories = load_vocabulary(options.vocabulary).categories
        subjects = [open_run(f, categories, device, options.threshold) for f in options.detector]
    return subjects + [open_bundle_subject(name, device) for name in options.bundle]


def read_photos(options: argparse.Namespace, categories: tuple[str, ...]) -> Truth:
    truth = read_truth(options.photos, options.annotations, categories)
    groups: dict[int, str] = {}
    if options.group_pattern:
        groups = groups_by_pattern(truth.photos, options.group_pattern, options.photos)
    elif options.groups:
        groups = groups_by_table(
            truth.photos, options.groups, options.group_column, options.photos
        )
    truth = Truth(truth.photos, truth.categories, truth.crowds, groups)
    return truth.spread(options.limit) if options.limit else truth


def proposals_of(options: argparse.Namespace, subject: Subject, truth: Truth) -> Given | None:
    """The proposals that a Fast R-CNN judges; None where the detector makes its own."""
    detector = subject.detector
    if not detector.wants_proposals:
        return None
    if options.proposals:
        return read_proposals(options.proposals, truth.photos, options.photos)
    if detector.proposer is None:
        raise ConfigError(
            f"detector {subject.name}: a Fast R-CNN without its proposal network; give "
            "--proposals FILE, which judging that network writes"
        )
    return None


def folders(output: Path, subjects: Sequence[Subject]) -> list[Path]:
    """The output folder itself of one detector, one within it of each of several."""
    if len(subjects) == 1:
        return [output]
    found: list[Path] = []
    for subject in subjects:
        # A bundle's name comes from its manifest: it must not lead out of the folder.
        name = re.sub(r"[^\w.-]+", "_", subject.name).strip(".") or "detector"
        names = [name, *(f"{name}_{k}" for k in range(2, len(subjects) + 1))]
        found.append(next(output / n for n in names if output / n not in found))
    return found


def judge_one(
    options: argparse.Namespace,
    subject: Subject,
    truth: Truth,
    folder: Path,
    proposals: Given | None,
) -> dict[str, Any]:
    count = len(truth.photos)
    print(f"{subject.name}: {subject.about.architecture}, {count} photos", file=sys.stderr)
    progress = Progress(count, "photos", 1)
    metrics = judge(subject, truth, options.photos, folder, proposals=proposals,
                    with_speed=not options.no_speed, tell=progress.update)  # fmt: skip
    return metrics | {"detector": metrics["detector"] | {"folder": str(folder)}}


def report(output: Path, metrics: Sequence[dict[str, Any]], device: torch.device) -> None:
    """The comparison on stdout, and as files when there are several detectors."""
    rows = [comparison_row(each) for each in metrics]
    print("\n".join(as_lines(comparison_listing(rows))))
    photos = metrics[0]["photos"]["photos"]
    note = (
        f"On {photos} photos. Photos a second: the detector alone on {device_name(device)} with "
        f"{torch.get_num_threads()} CPU threads, without decoding."
    )
    if len(rows) > 1:
        write_comparison(output, rows, note)
    print(note)
    for each in metrics:
        print(f"wrote {each['detector']['folder']}/: evaluation.html, metrics.json")


if __name__ == "__main__":
    sys.exit(main())

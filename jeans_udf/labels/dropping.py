"""What becomes of faulty rows: refused, or dropped as told."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from jeans_udf.errors import ConfigError
from jeans_udf.labels.faults import FAULTS, Fault, summary
from jeans_udf.labels.labelled import LabelFile
from jeans_udf.labels.reading import read_labels
from jeans_udf.vocabulary import Vocabulary

ALL = "all"
LISTED = 20
"""Faults told in an error; all are counted."""


def add_drop_faulty(parser: argparse.ArgumentParser) -> None:
    """The option ``--drop-faulty CODE``; `dropped_codes` reads it."""
    parser.add_argument(
        "--drop-faulty", action="append", default=[], choices=[*FAULTS, ALL], metavar="CODE",
        help="leave out label rows with this fault instead of refusing the file (of unknown_label "
        f"only the label); may be repeated: {', '.join([*FAULTS, ALL])}",
    )  # fmt: skip


def dropped_codes(given: Sequence[str]) -> frozenset[str]:
    """The codes of ``--drop-faulty``, ``all`` for every one."""
    return frozenset(FAULTS) if ALL in given else frozenset(given)


def settle(files: Sequence[LabelFile], dropped: Collection[str] = ()) -> list[LabelFile]:
    """The files without their faulty rows, if each of their faults has a code of ``dropped``.

    Of an unknown label only the label is left out, and its row stays. Raises `ConfigError` with
    the faults of all files that are not to be dropped, and when a file has no row left. The faults
    stay in the files, so that they can be told.
    """
    refused = [one for file in files for one in file.faults if one.code not in dropped]
    if refused:
        raise ConfigError(_refusal(refused))
    settled = []
    for file in files:
        gone = {one.row for one in file.faults if one.code != "unknown_label"}
        rows = tuple(row for row in file.rows if row.row not in gone)
        if not rows:
            raise ConfigError(
                f"labels {file.path}: no row is left without a fault:\n{summary(file.faults)}"
            )
        settled.append(replace(file, rows=rows))
    return settled


def load_labels(
    path: str | Path,
    vocabulary: Vocabulary,
    photos: str | Path | None = None,
    dropped: Collection[str] = (),
) -> LabelFile:
    """`read_labels` and `settle` of one file."""
    return settle([read_labels(path, vocabulary, photos)], dropped)[0]


def _refusal(faults: Sequence[Fault]) -> str:
    lines = [f"  {fault}" for fault in faults[:LISTED]]
    if len(faults) > LISTED:
        lines.append(f"  ... and {len(faults) - LISTED:,} more")
    codes = [code for code in FAULTS if any(fault.code == code for fault in faults)]
    option = " ".join(f"--drop-faulty {code}" for code in codes)
    return "\n".join(
        [f"labels: {len(faults):,} faults", *lines, summary(faults),
         f"mend them, or go on without what is faulty: {option}"]
    )  # fmt: skip

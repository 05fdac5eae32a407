"""One round of one row, in a process of its own: `python -m benchmarks.side_by_side.child`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.side_by_side.registry import ROWS
from benchmarks.side_by_side.workload import read_workload


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row", choices=list(ROWS))
    parser.add_argument("workload", type=Path, help="written by the benchmark")
    parser.add_argument("result", type=Path, help="where the outcome goes, as JSON")
    options = parser.parse_args()
    outcome = ROWS[options.row].measure()(read_workload(options.workload))
    options.result.write_text(json.dumps(asdict(outcome)), encoding="utf-8")


if __name__ == "__main__":
    main()

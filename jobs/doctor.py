"""Look at this machine as the jobs would: Java, Spark, Delta, torch, GPU, memory, models."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jeans_udf.config import load_config
from jeans_udf.doctor import Finding, examine
from jeans_udf.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, UsageError

MORE = """\
Nothing is started and no model is loaded. Run it where a job would run: on the machine that
submits, and on one that has executors.

examples:
  python jobs/doctor.py
  python jobs/doctor.py --config conf/tagging.yaml --set bundle=./own/bundle/

exit codes: 0 the jobs can run; 1 something is wrong, with what to do; 2 bad configuration
"""

MARKS = {"fine": ("✓", "green"), "note": ("–", "yellow"), "wrong": ("✗", "red")}


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="doctor.py",
        description=__doc__,
        epilog=MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config", metavar="FILE", help="configuration of tag_catalog.py")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="stronger than the file")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        findings = examine(load_config(options.config, options.set))
    except UsageError as error:
        print(f"doctor: {error}", file=sys.stderr)
        return EXIT_USAGE
    Console(soft_wrap=True).print(table(findings))
    wrong = sum(finding.state == "wrong" for finding in findings)
    print(f"{wrong} things are wrong" if wrong else "the jobs can run here")
    return EXIT_FAILED if wrong else EXIT_OK


def table(findings: Sequence[Finding]) -> Table:
    rows = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark, colour = MARKS[finding.state]
        # As text: nothing in a path or a message is markup.
        rows.add_row(Text(mark, style=colour), Text(finding.about), Text(finding.found))
        if finding.advice:
            rows.add_row("", "", Text(finding.advice, style=colour))
    return rows


if __name__ == "__main__":
    sys.exit(main())

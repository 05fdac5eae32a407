"""The console command ``jeans-udf``: every job of ``jobs/`` by its name, outside a checkout."""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from jeans_udf import __version__
from jeans_udf.errors import EXIT_OK, EXIT_USAGE, near_miss

PACKAGE = Path(__file__).resolve().parent
# setup.py puts the checkout's folder into the wheel, inside the package.
JOBS = PACKAGE / "jobs" if (PACKAGE / "jobs").is_dir() else PACKAGE.parent / "jobs"


def job_files() -> dict[str, Path]:
    """Every job's file by its name."""
    return {file.stem: file for file in sorted(JOBS.glob("*.py"))}


def about() -> str:
    """The command's help: every job with the first line of what it says of itself."""
    lines = ["usage: jeans-udf JOB [options]      jeans-udf JOB --help", "", "jobs:"]
    for name, file in job_files().items():
        # Read, not imported: some take seconds to load their libraries.
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
        lines.append(f"  {name:<20} {text.splitlines()[0] if text else ''}")
    lines += ["", "jeans-udf doctor says what a job would find on this machine.",
              "exit codes: the job's; 2 for a job that is not there"]  # fmt: skip
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a job with the rest of the command line; raises SystemExit with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(about())
        return EXIT_OK if given else EXIT_USAGE
    if given[0] == "--version":
        print(__version__)
        return EXIT_OK
    job = given[0].removesuffix(".py").replace("-", "_")
    known = job_files()
    if job not in known:
        print(f"jeans-udf: there is no job {given[0]!r}; {near_miss(job, known)}", file=sys.stderr)
        return EXIT_USAGE
    # As `python jobs/<job>.py` would: it reads its own command line and ends with its own code.
    sys.argv = [str(known[job]), *given[1:]]
    runpy.run_path(str(known[job]), run_name="__main__")
    return EXIT_OK

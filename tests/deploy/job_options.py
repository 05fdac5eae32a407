"""The options that each job knows, taken from its own parser."""

from __future__ import annotations

import argparse
import importlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def job_parser(name: str) -> argparse.ArgumentParser:
    """The parser of ``jobs/<name>.py``."""
    parser = importlib.import_module(f"jobs.{name}").parser()
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def known_options(name: str) -> set[str]:
    """As ``--source``, of ``jobs/<name>.py``."""
    return {option for action in job_parser(name)._actions for option in action.option_strings}


def check_arguments(name: str, arguments: list[str]) -> None:
    """AssertionError unless the job's own parser takes the whole list."""
    unknown = [a for a in arguments if a.startswith("--") and a not in known_options(name)]
    assert not unknown, f"jobs/{name}.py has no {', '.join(unknown)}"
    try:
        job_parser(name).parse_args(arguments)
    except SystemExit as ended:
        raise AssertionError(f"jobs/{name}.py refuses {arguments}") from ended

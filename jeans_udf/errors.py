"""Errors that a user can act on.

    JeansError                 anything this product raises on purpose
    ├── UsageError             stop before any work: exit code 2
    │   ├── ConfigError        a configuration file, key or value
    │   ├── TableError         a source or target table
    │   └── BundleError        a model bundle: missing, tampered with, unsafe
    ├── BusyError              another run is at work on the output: exit code 4
    └── Rejected               one image cannot be tagged: a row, never a failed job

Each message says what, where, got and wanted, and the next step if there is one.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_OVER_LIMIT = 3
EXIT_BUSY = 4

REASONS = (
    "null_image",
    "empty",
    "missing_file",
    "forbidden_path",
    "not_an_image",
    "unsupported_format",
    "truncated",
    "decode_error",
    "too_many_bytes",
    "too_many_pixels",
    "too_small",
    "timed_out",
    "worker_crashed",
    "model_error",
)
"""The closed list of reasons in ``image_status.reason``."""


class JeansError(Exception):
    """Base of the errors raised on purpose."""


class UsageError(JeansError):
    """The request cannot start as it is; nothing was written."""


class ConfigError(UsageError):
    """A configuration file, key or value is wrong."""


class TableError(UsageError):
    """A table is missing, or is not what the job needs."""


class BundleError(UsageError):
    """A model bundle is incomplete, altered, or holds something unsafe."""


class BusyError(JeansError):
    """Another run is at work on the output; nothing was done."""


class Rejected(JeansError):
    """One image cannot be tagged.

    ``reason`` is one of `REASONS`; ``detail`` is a short sentence for a person and never holds
    bytes of the file.
    """

    def __init__(self, reason: str, detail: str) -> None:
        assert reason in REASONS, reason
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail[:300]


def carried_out(name: str, job: Callable[[], int]) -> int:
    """The exit code of ``job``; errors that a user can act on are told on standard error."""
    try:
        return job()
    except UsageError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except BusyError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_BUSY
    except JeansError as error:
        print(f"{name}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again", file=sys.stderr)
    return EXIT_FAILED


def near_miss(name: str, known: Iterable[str]) -> str:
    """A sentence for an unknown name: the nearest known one if any, and the whole list."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(known)}"

"""Other writers at the same table: their commits came first, so ours is tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

# Before 4.4 Delta's package raised the errors below only where this had been imported.
import delta.exceptions.captured  # noqa: F401
from delta.exceptions import (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
)

Result = TypeVar("Result")

WriteConflict = (
    ConcurrentAppendException,
    ConcurrentDeleteDeleteException,
    ConcurrentDeleteReadException,
    ConcurrentTransactionException,
    ConcurrentWriteException,
    DeltaConcurrentModificationException,
    MetadataChangedException,
)
"""Another writer's commit came first. Delta's exceptions do not derive from one another."""

ATTEMPTS = 6
"""Tries of a commit that others get in the way of: about a minute."""


def retry_conflicts(write: Callable[[], Result]) -> Result:
    """Do ``write`` again when another writer's commit came first, as OPTIMIZE's or VACUUM's.

    It must read what it needs anew each time. Raises Delta's own error after `ATTEMPTS`.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return write()
        except WriteConflict:
            if attempt == ATTEMPTS:
                raise
            time.sleep(random.uniform(0.5, 1.5) * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")

"""References to Delta tables, by name or by directory, checked before anything is opened.

A name is checked against a pattern and quoted, a directory goes to Delta as a path: neither is ever
pasted into SQL as it came.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from jeans_udf.errors import TableError

NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+){0,2}")
SCHEMA_NAME = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")


@dataclass(frozen=True)
class Table:
    """A reference to a Delta table: a directory or a name of one to three parts."""

    text: str
    is_path: bool

    def __str__(self) -> str:
        return self.text

    @property
    def sql(self) -> str:
        """How SQL names it, quoted."""
        if self.is_path:
            return "delta.`" + self.text.replace("`", "``") + "`"
        return ".".join(f"`{part}`" for part in self.text.split("."))


@dataclass(frozen=True)
class Output:
    """Where a job's tables lie: each a directory within a directory, or a table of a schema."""

    text: str
    is_path: bool

    def table(self, name: str) -> Table:
        separator = "/" if self.is_path else "."
        return Table(self.text + separator + name, self.is_path)


def parse_table(text: str) -> Table:
    """``text`` with a slash is a directory (or URI), otherwise a name."""
    if "/" in text:
        return Table(_absolute(text), is_path=True)
    if not NAME.fullmatch(text):
        raise TableError(
            f"table {text!r}: wanted a directory (with a slash, as ./{text or 'images'}) or a name "
            "of one to three parts of [a-z0-9_], as catalog.schema.table"
        )
    return Table(text, is_path=False)


def parse_output(text: str) -> Output:
    """``text`` with a slash is a directory (or URI), otherwise a schema's name."""
    if "/" in text:
        return Output(_absolute(text), is_path=True)
    if not SCHEMA_NAME.fullmatch(text):
        raise TableError(
            f"output {text!r}: wanted a directory (with a slash, as ./{text or 'tags'}) or a "
            "schema of one or two parts of [a-z0-9_], as catalog.schema"
        )
    return Output(text, is_path=False)


def _absolute(text: str) -> str:
    # A relative directory must mean the same to the driver, to executors and in views.
    return text.rstrip("/") if ":/" in text else os.path.abspath(text)

"""Which product a photo shows: from a CSV file, or from the photo's name."""

from __future__ import annotations

import csv
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from jeans_udf.errors import ConfigError, near_miss


class Products(Protocol):
    """The product of a photo by its name relative to the photo folder; None if not known."""

    def product_of(self, name: str) -> str | None: ...


class NoProducts:
    """Nothing is known of products."""

    def product_of(self, name: str) -> str | None:
        return None


class ListedProducts:
    """Products by photo name."""

    def __init__(self, by_name: Mapping[str, str]) -> None:
        self.by_name = by_name

    def product_of(self, name: str) -> str | None:
        return self.by_name.get(name)


class NamedProducts:
    """Products told by the one group of a pattern that is searched in the photo's name."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern = pattern

    def product_of(self, name: str) -> str | None:
        found = self.pattern.search(name)
        return found.group(1) or None if found else None


def find_products(file: str | Path | None, pattern: str | None) -> Products:
    """Products of ``file`` (columns path, product_id) or ``pattern``; at most one is given.

    Raises `ConfigError` for a file or pattern that is none.
    """
    if file is not None:
        return ListedProducts(_read_products(Path(file)))
    if pattern is None:
        return NoProducts()
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"--product-pattern {pattern!r}: not a pattern: {error}") from None
    if compiled.groups != 1:
        raise ConfigError(
            f"--product-pattern {pattern!r}: {compiled.groups} groups, wanted one, such as "
            r"'^(\d+)_'"
        )
    return NamedProducts(compiled)


def _read_products(file: Path) -> dict[str, str]:
    where = f"products {file}"
    products: dict[str, str] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines, strict=True)
            header = list(reader.fieldnames or [])
            for column in ("path", "product_id"):
                if column not in header:
                    raise ConfigError(f"{where}: column {column!r} is missing; "
                                      f"{near_miss(column, header)}")  # fmt: skip
            for row in reader:
                name, product = row["path"], row["product_id"]
                line = f"{where}: line {reader.line_num}"
                if not name or not product:
                    raise ConfigError(f"{line}: wanted a path and a product_id")
                name = posixpath.normpath(name)
                if products.setdefault(name, product) != product:
                    raise ConfigError(f"{line}: {name!r} is of product {products[name]!r}, too")
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{where}: no CSV in UTF-8: {error}") from None
    return products

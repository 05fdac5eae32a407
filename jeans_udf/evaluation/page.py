"""An evaluation as one HTML file that holds its pictures, runs no script and loads nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from jeans_udf import __version__
from jeans_udf.errors import UsageError
from jeans_udf.evaluation.listings import Listing
from jeans_udf.evaluation.paint import FOUND, TRUTH
from jeans_udf.report.data import Picture
from jeans_udf.report.page import TEMPLATES as REPORT_TEMPLATES
from jeans_udf.report.page import format_time, plain_text

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Plot:
    """A PNG file for the page, and a sentence on how to read it."""

    title: str
    lead: str
    file: Path

    @property
    def picture(self) -> Picture:
        with Image.open(self.file) as image:
            width, height = image.size
        return Picture(self.file.read_bytes(), width, height, "image/png")


@dataclass(frozen=True)
class Thumbnail:
    """A drawn photo on the page; ``picture`` is None where the page is full."""

    picture: Picture | None
    name: str
    text: str


@dataclass(frozen=True)
class Row:
    """Thumbnails of one kind; ``total`` counts those that are not shown too."""

    key: str
    title: str
    lead: str
    total: int
    thumbnails: tuple[Thumbnail, ...]


@dataclass(frozen=True)
class Page:
    """What the page shows, from top to bottom."""

    title: str
    facts: Sequence[tuple[str, str]]
    """Names and values below the title."""
    tiles: Sequence[tuple[str, str]]
    """Large figures: value and what it is."""
    listings: Sequence[Listing]
    plots: Sequence[Plot]
    rows: Sequence[Row]


def write_page(page: Page, file: Path) -> Path:
    """Write ``file``; a reader never sees half of it. Raises `UsageError` if that is no place."""
    text = _environment().get_template("evaluation.html.j2").render(
        page=page,
        made_at=format_time(datetime.now(UTC)),
        truth_colour=TRUTH,
        found_colour=FOUND,
        version=__version__,
    )
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        try:
            draft.write_text(text, encoding="utf-8", errors="replace")
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"page {file}: cannot be written ({error.strerror})") from None
    return file


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, REPORT_TEMPLATES]),
        # Always, not by file name: names of photos, groups and categories come from strangers.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain_text
    return environment

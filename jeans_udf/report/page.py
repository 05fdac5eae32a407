"""Cards to one HTML file: its pictures and its one script (the filters) are in it."""

from __future__ import annotations

import base64
import hashlib
import os
import unicodedata
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from jeans_udf import __version__
from jeans_udf.errors import UsageError
from jeans_udf.report.colours import category_colours
from jeans_udf.report.data import LOW_CONFIDENCE, Chart, GarmentCard, PhotoCard, Report
from jeans_udf.report.facets import NO_ANSWER, facets, garment_facts

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_TEXT = 240
"""Characters of a title or id that are shown; a catalog's may be of any length."""
SHOWN_GARMENTS = 4
"""Garments of a photo that are described beside it."""
STATUS_NAMES = {
    "tagged": "With garments",
    "no_garment": "Without a garment",
    "rejected": "Rejected",
}


def render_page(report: Report) -> str:
    """The whole page as text."""
    template = _environment().get_template("page.html.j2")
    script = (TEMPLATES / "filter.js").read_text(encoding="utf-8")
    return template.render(
        report=report,
        colours=category_colours(report.categories),
        status_names=STATUS_NAMES,
        shown_garments=SHOWN_GARMENTS,
        low_confidence=LOW_CONFIDENCE,
        no_answer=NO_ANSWER,
        script=Markup(script),
        script_hash=script_hash(script),
        version=__version__,
    )


def script_hash(text: str) -> str:
    """The only script that the page's policy lets run: one of exactly this text."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def write_page(report: Report, file: str | Path) -> Path:
    """Write the page; a reader never sees half of one. Raises `UsageError` if that is no place."""
    path = Path(file)
    text = render_page(report)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_text(text, encoding="utf-8", errors="replace")
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"report {path}: cannot be written ({error.strerror})") from None
    return path


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        # Always, not by file name: ids, titles and reasons come from strangers.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": plain_text,
        "thousands": lambda number: f"{number:,}",
        "compact": lambda number: f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number:,}",
        "percent": lambda share: f"{100 * share:.0f}%",
        "words": lambda name: name.replace("_", " "),
        "when": format_time,
        "share": format_share,
        "bars": bars,
        "facets": facets,
        "garment_facts": garment_facts,
        "spot": spot,
        "photo_alt": photo_alt,
        "crop_alt": crop_alt,
        "garment_words": garment_words,
        "duration": format_duration,
    }
    return environment


def plain_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """``value`` without control and direction characters, which could rearrange a line, cut."""
    text = "".join(
        " " if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp")
        else "" if unicodedata.category(char) == "Cf" else char
        for char in str(value)[: 2 * longest]
    )  # fmt: skip
    return text if len(text) <= longest else text[: longest - 1] + "…"


def format_time(moment: datetime | None) -> str:
    """In UTC to the minute; a time without a zone is taken as UTC, as Spark's session is."""
    if moment is None:
        return "unknown"
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def format_duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def format_share(share: float) -> str:
    """In percent, never rounded to nothing."""
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{max(100 * share, 0.01):.2g}%"


def bars(chart: Chart) -> list[tuple[str, int, float]]:
    """(label, count, width in percent); the longest bar is 100."""
    most = max((count for _, count in chart.counts), default=0)
    return [(label, count, 100 * count / most if most else 0.0) for label, count in chart.counts]


def spot(garment: GarmentCard, card: PhotoCard) -> str:
    """The box as CSS in percent of the photo: numbers only."""
    left, top, right, bottom = (
        100 * min(max(edge / side, 0.0), 1.0)
        for edge, side in zip(garment.box, (card.width, card.height) * 2, strict=True)
    )
    return (
        f"left:{left:.2f}%;top:{top:.2f}%;width:{max(right - left, 0):.2f}%;"
        f"height:{max(bottom - top, 0):.2f}%"
    )


def photo_alt(card: PhotoCard) -> str:
    names = ", ".join(garment.category.replace("_", " ") for garment in card.garments)
    product = f" of product {card.product_id}" if card.product_id else ""
    return plain_text(f"Photo {card.image_id}{product}; found: {names or 'no garment'}")


def crop_alt(garment: GarmentCard) -> str:
    return plain_text(f"Cut-out of {garment_words(garment)}")


def garment_words(garment: GarmentCard) -> str:
    """Category and labels in one line."""
    labels = [attribute.label for attribute in garment.attributes if attribute.label]
    return plain_text(", ".join([garment.category, *labels]).replace("_", " "))

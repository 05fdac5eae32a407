"""From rounds to figures: medians, the table, the JSON."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = ("row", "images/s", "slowest-fastest", "of the loop", "garments", "start-up s",
           "whole s", "settings", "same garments")  # fmt: skip


def row_figures(
    name: str, title: str, images: int, rounds: Sequence[Mapping[str, Any]], difference: str
) -> dict[str, Any]:
    """The JSON object of a row.

    Each of ``rounds`` has ``seconds``, ``start_up``, ``whole`` (all in seconds), ``garments``,
    ``settings`` and ``further``. ``garments`` are those of the last round.
    """
    rates = [images / one["seconds"] for one in rounds]
    further = rounds[-1]["further"]
    return {
        "name": name, "title": title, "images_per_second": [round(rate, 3) for rate in rates],
        "median": round(statistics.median(rates), 3), "garments": rounds[-1]["garments"],
        "images": images,
        "start_up_seconds": round(statistics.median(one["start_up"] for one in rounds), 1),
        "whole_seconds": round(statistics.median(one["whole"] for one in rounds), 1),
        "settings": rounds[-1]["settings"],
        "further_seconds": {
            key: round(statistics.median(one["further"][key] for one in rounds), 1)
            for key in further
        },
        "difference": difference,
    }  # fmt: skip


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All rows as lines of text; rates are medians, shares are of the first bare loop."""
    limit = next((row["median"] for row in rows if row["name"] == "bare_loop"), None)
    lines = [COLUMNS]
    for row in rows:
        rates = row["images_per_second"]
        share = f"{row['median'] / limit:.0%}" if limit else "-"
        lines.append((
            row["title"], f"{row['median']:.2f}", f"{min(rates):.2f}-{max(rates):.2f}", share,
            str(row["garments"]), f"{row['start_up_seconds']:.1f}", f"{row['whole_seconds']:.1f}",
            _settings(row["settings"]), row["difference"],
        ))  # fmt: skip
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            # Numbers to the right, words to the left.
            cell.rjust(width) if 1 <= i <= 6 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _settings(settings: Mapping[str, Any]) -> str:
    text = f"{settings.get('processes', '?')} x {settings.get('threads', '?')}"
    return text + (f", batch {settings['batch_size']}" if settings.get("batch_size") else "")

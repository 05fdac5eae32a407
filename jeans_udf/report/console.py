"""What a person reads on the console: numbered, timed steps, and rows as a table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as TextTable
from rich.text import Text

from jeans_udf.report.page import plain_text


class Steps:
    """Numbered, timed steps on the console."""

    def __init__(self, console: Console, total: int) -> None:
        self.console, self.total, self.number = console, total, 0
        self.begin = time.monotonic()

    @contextmanager
    def step(self, title: str, spinner: bool = True) -> Iterator[list[str]]:
        """The block appends what it did; printed with its seconds when it is over."""
        self.number += 1
        begin, said = time.monotonic(), list[str]()
        heading = Text(f"[{self.number}/{self.total}] {title}", style="bold")
        self.console.print(heading, soft_wrap=True)
        if spinner and self.console.is_terminal:
            with self.console.status(""):
                yield said
        else:
            yield said
        self.say(", ".join([*said, f"{time.monotonic() - begin:.1f} s"]))

    def say(self, text: str) -> None:
        # Not wrapped: a path that is cut in two cannot be copied.
        self.console.print(f"      {text}", highlight=False, markup=False, soft_wrap=True)

    def finish(self, lines: Sequence[tuple[str, str]]) -> None:
        """The time of all steps, and what to know now, by name."""
        self.console.print(f"\n[bold]Done in {time.monotonic() - self.begin:.0f} s[/]")
        for name, text in lines:
            self.say(f"{name:<10} {text}")


def text_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], total: int
) -> TextTable:
    """Rows as a table; texts come from strangers and are shown as they are, not as markup."""
    shown = f"{len(rows)} of {total:,}" if len(rows) < total else f"all {total:,}"
    heading = f"{title} ({shown})"
    table = TextTable(box=SIMPLE_HEAD, title=heading, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name == "score" else "left")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    return table


def cell(value: object) -> Text:
    if value is None or value == []:
        return Text("–", style="dim")
    if isinstance(value, float):
        return Text(f"{value:.2f}")
    return Text(plain_text(", ".join(value) if isinstance(value, list) else value, 60))

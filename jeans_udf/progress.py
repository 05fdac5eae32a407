"""What a person sees of a run: a bar on a terminal, else a line a minute; a summary at the end.

The numbers shown on the way come from Spark accumulators, which a retried task adds to twice:
they are for the eye only. The summary and tagging_runs count the rows that were committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from pyspark import AccumulatorParam, SparkContext
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table as TextTable

from jeans_udf.runs import Run
from jeans_udf.table_names import Output

LINE_SECONDS = 60.0


class ReasonCounts(AccumulatorParam[dict[str, int]]):
    """Adds counts by reason."""

    def zero(self, value: dict[str, int]) -> dict[str, int]:
        return {}

    def addInPlace(self, value1: dict[str, int], value2: dict[str, int]) -> dict[str, int]:
        for reason, count in value2.items():
            value1[reason] = value1.get(reason, 0) + count
        return value1


class Counters:
    """Called in the Python workers; read on the driver. Workers report when a task ends."""

    def __init__(self, context: SparkContext) -> None:
        self.images = context.accumulator(0)
        self.garments = context.accumulator(0)
        self.rejected = context.accumulator({}, ReasonCounts())

    def __call__(self, images: int, garments: int, reasons: dict[str, int]) -> None:
        self.images.add(images)
        self.garments.add(garments)
        self.rejected.add(reasons)


class Display:
    """Shows the counters while a run goes on. ``total`` may be corrected on the way."""

    def __init__(
        self,
        counters: Counters,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters, self.clock = counters, clock
        self.console = console or Console(stderr=True)
        self.total: int | None = None
        self.started = self.told = clock()
        self.bar = _bar(self.console) if self.console.is_terminal else None
        self.task = self.bar.add_task("tagging", total=None, detail="") if self.bar else None

    def __enter__(self) -> Display:
        self.started = self.told = self.clock()
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.refresh()
            self.bar.stop()

    def refresh(self) -> None:
        """Show what is there by now."""
        if self.bar is not None and self.task is not None:
            self.bar.update(
                self.task, completed=self.counters.images.value, total=self.total,
                detail=self._detail(),
            )
        elif self.clock() - self.told >= LINE_SECONDS:
            self.told = self.clock()
            self.console.print(self.line(), highlight=False, soft_wrap=True)

    def line(self) -> str:
        """The state in one line of plain text."""
        done = self.counters.images.value
        of_total = f"/{self.total:,}" if self.total else ""
        rate = done / max(self.clock() - self.started, 1e-9)
        left = ""
        if self.total and done:
            left = f", {_duration(max(self.total - done, 0) / rate)} left"
        return f"tagged {done:,}{of_total} images, {self._detail()}{left}"

    def _detail(self) -> str:
        seconds = max(self.clock() - self.started, 1e-9)
        rejected = self.counters.rejected.value
        reasons = ", ".join(f"{name} {count:,}" for name, count in sorted(rejected.items()))
        return (
            f"{self.counters.images.value / seconds:.1f} images/s, "
            f"{self.counters.garments.value:,} garments, "
            f"{sum(rejected.values()):,} rejected" + (f" ({reasons})" if reasons else "")
        )


def print_summary(run: Run, output: Output, console: Console | None = None) -> None:
    """The end of a run as a table, with where its results lie and what to try next."""
    console = console or Console()
    text = TextTable(title=escape(f"run {run.run_id}"), show_header=False, title_justify="left")
    text.add_column(style="bold")
    text.add_column()
    text.add_row("images tagged", f"{run.images:,}")
    if run.recalled:
        text.add_row("  only classified again", f"{run.recalled:,}")
    for status, count in sorted(run.statuses.items()):
        text.add_row(f"  {status}", f"{count:,}")
    for reason, count in run.reasons.most_common():
        text.add_row(f"    {reason}", f"{count:,}")
    text.add_row("garments", f"{run.garments:,}")
    text.add_row("images deleted", f"{run.deleted:,}")
    if run.images_per_second is not None:
        text.add_row("images/s", f"{run.images_per_second:.1f}")
    text.add_row("wall time", _duration(run.wall_seconds))
    text.add_row("source versions", _versions(run))
    text.add_row("model", escape(run.model_version))
    for group, index in run.drift.items():
        text.add_row(f"drift of {escape(group)}", f"{index:.3f}")
    text.add_row("exit code", f"{run.exit_code}")
    console.print(text)
    console.print(_next_steps(output), highlight=False, soft_wrap=True, markup=False)


def _next_steps(output: Output) -> str:
    where = output.text + ("/" if output.is_path else ".")
    names = "image_status, garments, garment_crops, image_detections, tagging_runs, "
    names += "attribute_overrides"
    status = output.table("image_status").sql
    garments = output.table("garments").sql
    lines = [
        f"Tables in {where}: {names}",
        "Try:",
        f"  SELECT status, reason, count(*) FROM {status} GROUP BY ALL;",
        f"  SELECT category, attributes, score FROM {garments} ORDER BY score DESC LIMIT 20;",
    ]
    if output.is_path:
        lines.append(f"Views, product_attributes the first to ask: {output.text}/views.sql")
    else:
        lines.append(f"  SELECT * FROM {output.table('product_attributes').sql} LIMIT 20;")
    lines.append("Each view: python jobs/publish_views.py --help")
    return "\n".join(lines)


def _bar(console: Console) -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}"),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
    )


def _versions(run: Run) -> str:
    if run.source_version_from is None:
        return "nothing new"
    return f"{run.source_version_from} to {run.source_version_to}"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

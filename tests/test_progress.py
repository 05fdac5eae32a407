"""What a person sees: lines, a bar, and the summary."""

from __future__ import annotations

import io

from pyspark.sql import SparkSession
from rich.console import Console
from test_runs import a_run

from jeans_udf.progress import Counters, Display, print_summary
from jeans_udf.table_names import Output


class Clock:
    """Time that passes when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_workers_count_and_the_driver_reads(spark: SparkSession) -> None:
    counters = Counters(spark.sparkContext)

    def work(rows):  # type: ignore[no-untyped-def]
        for _ in rows:
            counters(2, 3, {"empty": 1})

    spark.sparkContext.parallelize(range(4), 2).foreachPartition(work)

    assert (counters.images.value, counters.garments.value) == (8, 12)
    assert counters.rejected.value == {"empty": 4}


def test_a_line_a_minute_without_a_terminal(spark: SparkSession) -> None:
    clock, text = Clock(), io.StringIO()
    counters = Counters(spark.sparkContext)
    display = Display(counters, Console(file=text, width=40), clock)
    with display:
        display.total = 3000
        counters(600, 700, {"truncated": 2, "empty": 1})
        for _ in range(120):
            clock.now += 1
            display.refresh()

    assert text.getvalue().splitlines() == [
        "tagged 600/3,000 images, 10.0 images/s, 700 garments, "
        "3 rejected (empty 1, truncated 2), 4 min 0 s left",
        "tagged 600/3,000 images, 5.0 images/s, 700 garments, "
        "3 rejected (empty 1, truncated 2), 8 min 0 s left",
    ]


def test_a_bar_on_a_terminal(spark: SparkSession) -> None:
    text = io.StringIO()
    counters = Counters(spark.sparkContext)
    console = Console(file=text, width=160, force_terminal=True, _environ={"TERM": "xterm"})
    with Display(counters, console) as display:
        display.total = 10
        counters(5, 6, {"empty": 1})
        display.refresh()

    assert "5/10" in text.getvalue()
    assert "1 rejected (empty 1)" in text.getvalue()


def test_the_summary_says_what_and_where_and_what_next() -> None:
    run, text = a_run("[run]", rejected=3), io.StringIO()
    run.finish()
    print_summary(run, Output("/data/out", True), Console(file=text, width=100))
    shown = text.getvalue()
    for part in ("run [run]", "rejected", "empty", "images/s", "2.5", "exit code", "3",
                 "Tables in /data/out/", "FROM delta.`/data/out/image_status`",
                 "image_detections", "attribute_overrides", "/data/out/views.sql",
                 "publish_views.py --help"):  # fmt: skip
        assert part in shown
    print_summary(run, Output("shop", False), Console(file=text, width=100))
    assert "SELECT * FROM `shop`.`product_attributes`" in text.getvalue()

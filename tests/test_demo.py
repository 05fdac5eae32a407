"""The demo: what it refuses, what it prints, and a small run from pictures to page."""

from __future__ import annotations

import io
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from rich.console import Console

from jeans_udf.bundle import SHIPPED
from jeans_udf.drawing import draw_catalog
from jeans_udf.errors import (
    EXIT_BUSY,
    EXIT_FAILED,
    EXIT_USAGE,
    BusyError,
    JeansError,
    TableError,
)
from jeans_udf.report.console import Steps, cell, text_table
from jobs import demo


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Drawing, replaced by one that only notes that it was asked; its calls."""
    calls = []

    def draw(folder: Path, count: int, seed: int) -> Path:
        calls.append((count, seed))
        folder.mkdir(parents=True)
        (folder / "products.csv").write_text(f"path\n{seed}.jpg\n")
        return folder

    monkeypatch.setattr(demo, "draw_catalog", draw)
    return calls


def test_the_catalog_is_drawn_once(quick: list[tuple[int, int]], tmp_path: Path) -> None:
    folder = tmp_path / "work" / "catalog"
    assert demo.draw_once(folder, 72, 7) and not demo.draw_once(folder, 72, 7)
    assert demo.draw_once(folder, 72, 8)
    assert quick == [(72, 7), (72, 8)]
    assert (folder / "products.csv").read_text() == "path\n8.jpg\n"
    assert [path.name for path in folder.parent.iterdir()] == ["catalog"]


def test_a_catalog_that_was_not_finished_is_drawn_again(
    quick: list[tuple[int, int]], tmp_path: Path
) -> None:
    (tmp_path / "catalog.part").mkdir()
    (tmp_path / "catalog.part" / "half.jpg").write_bytes(b"")
    assert demo.draw_once(tmp_path / "catalog", 72, 7)
    assert not (tmp_path / "catalog" / "half.jpg").exists()


def test_files_of_others_are_not_drawn_over(
    quick: list[tuple[int, int]], tmp_path: Path
) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "mine.txt").write_text("keep me")
    with pytest.raises(TableError, match="did not draw"):
        demo.draw_once(tmp_path / "catalog", 72, 7)
    assert (tmp_path / "catalog" / "mine.txt").read_text() == "keep me" and not quick


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--images", "no/such/folder"], "no/such/folder"),
        (["--images", "."], "no file there has a name like a picture's"),
        (["--set", "batch.max_file=3"], "did you mean 'max_files'"),
        (["--set", "bundle=./nothing"], "nothing"),
    ],
)
def test_a_bad_request_is_one_line_before_spark_starts(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "build_session", lambda name: pytest.fail("Spark was started"))
    if "--set" not in arguments:
        monkeypatch.setattr(demo, "open_bundle", lambda name: None)
    assert demo.main(arguments) == EXIT_USAGE
    error = capsys.readouterr().err
    assert error.startswith("demo: ") and words in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BusyError("run r1 is at work"), EXIT_BUSY),
        (JeansError("it went"), EXIT_FAILED),
        (TableError("no table"), EXIT_USAGE),
    ],
)
def test_errors_end_it_with_tag_catalogs_exit_codes(
    error: JeansError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "check", lambda images, overrides: None)
    monkeypatch.setattr(demo, "build_session", MagicMock())
    stop = MagicMock()
    monkeypatch.setattr(demo, "stop_session", stop)
    monkeypatch.setattr(demo, "run_demo", MagicMock(side_effect=error))
    assert demo.main([]) == code
    assert capsys.readouterr().err == f"demo: {error}\n" and stop.call_count == 1


def test_steps_are_numbered_and_timed() -> None:
    text = io.StringIO()
    steps = Steps(Console(file=text, width=60), 2)
    with steps.step("Look [red] at this") as said:
        said.append("3 things")
    with steps.step("Stop"):
        pass
    lines = text.getvalue().splitlines()
    assert lines[0] == "[1/2] Look [red] at this" and lines[1].startswith("      3 things, 0.")
    assert lines[2] == "[2/2] Stop" and lines[3].endswith(" s")


def test_texts_of_strangers_are_no_markup() -> None:
    text = io.StringIO()
    rows = [("[red]P1[/]", None, ["a", "b"], 0.875, "x\x1b[31m\u202ey")]
    table = text_table("t", ["id", "fit", "details", "score", "title"], rows, 7)
    Console(file=text, width=100).print(table)
    shown = text.getvalue()
    assert "[red]P1[/]" in shown and "a, b" in shown and "0.88" in shown and "(1 of 7)" in shown
    assert "\x1b" not in shown and "\u202e" not in shown
    assert cell([]).plain == cell(None).plain == "–"


@pytest.mark.skipif(not (SHIPPED / "default").is_dir(), reason="the default bundle is not built")
def test_own_pictures_become_tables_and_a_page(spark: SparkSession, tmp_path: Path) -> None:
    catalog = draw_catalog(tmp_path / "pictures", count=24)
    (catalog / "products.csv").unlink()
    text = io.StringIO()
    steps = Steps(Console(file=text, width=120), 5)
    # So few pictures hold the same ten broken ones as the whole catalog.
    budget = ["max_rejected_fraction=0.5"]
    done = demo.run_demo(spark, tmp_path / "work", catalog, budget, steps)

    assert done.run.exit_code == 0 and done.run.images == done.ingested.inserted == 24
    images = DeltaTable(f"{done.output.text}/image_status").to_pandas()
    assert len(images) == 24 and set(images.status) >= {"tagged", "rejected"}
    page = done.page.read_text(encoding="utf-8")
    assert page.count('<article class="card"') == (images.status == "tagged").sum()
    assert page.count('class="reason"') > 0 and page.count("<script") == 1, "its own alone"
    shown = text.getvalue()
    assert "product_attributes (" in shown and "rejected_images (" in shown
    assert "truncated" in shown and "images/s" in shown

    again = demo.run_demo(spark, tmp_path / "work", catalog, budget, steps)
    assert again.run.images == 0 and again.ingested.unchanged == 24
    assert again.ingested.version == done.ingested.version
    assert "no model ran" in text.getvalue()
    assert DeltaTable(f"{done.output.text}/image_status").to_pandas().equals(images)

"""The row of a run, and its exit code."""

from __future__ import annotations

from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jeans_udf import tables
from jeans_udf.config import TaggingConfig
from jeans_udf.errors import TableError
from jeans_udf.run_log import library_versions, recorded
from jeans_udf.runs import Run, Tally
from jeans_udf.schemas import TAGGING_RUNS
from jeans_udf.table_names import parse_table


def a_run(run_id: str = "r1", rejected: int = 0, budget: float = 0.2) -> Run:
    run = Run("shop.images", "m-1", "sha", TaggingConfig(max_rejected_fraction=budget), run_id)
    statuses = Counter(tagged=10 - rejected, rejected=rejected)
    reasons = Counter(empty=rejected) if rejected else Counter()
    run.add(Tally(10, 12, +statuses, reasons, Counter(detect=2.5)), seconds=4.0)
    return run


def test_versions_are_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "openvino":
            raise metadata.PackageNotFoundError(name)
        return f"{name} 1"

    monkeypatch.setattr(metadata, "version", version)
    versions = library_versions()
    assert versions["onnxruntime"] == "onnxruntime 1" and versions["torch"] == "torch 1"
    assert "openvino" not in versions


@pytest.mark.parametrize(
    ("rejected", "budget", "code"), [(0, 0.0, 0), (2, 0.2, 0), (3, 0.2, 3), (1, 0.0, 3)]
)
def test_over_the_error_budget_is_3(rejected: int, budget: float, code: int) -> None:
    assert a_run(rejected=rejected, budget=budget).finish() == code


def test_errors_are_1_or_2() -> None:
    assert a_run().finish(RuntimeError("broken")) == 1
    assert a_run().finish(KeyboardInterrupt()) == 1
    assert a_run(rejected=10).finish(TableError("wrong")) == 2
    assert Run("s", "m", "sha", TaggingConfig()).finish() == 0


def test_batches_add_up() -> None:
    run = a_run(rejected=1)
    run.add(Tally(5, 1, Counter(rejected=5), Counter(empty=2, truncated=3), Counter()), 2.0)
    run.read(3, 4)
    run.read(5, 9)
    assert (run.images, run.garments, run.images_per_second) == (15, 13, 2.5)
    assert run.reasons == {"empty": 3, "truncated": 3}
    assert run.rejected_fraction == pytest.approx(6 / 15)
    assert (run.source_version_from, run.source_version_to) == (3, 9)


def test_every_run_has_one_row(spark: SparkSession, tmp_path: Path) -> None:
    table = parse_table(str(tmp_path / "tagging_runs"))
    tables.ensure_table(spark, table, TAGGING_RUNS, "runs", hint="")
    with recorded(spark, table, str(tmp_path), a_run("good", rejected=1)):
        pass
    with pytest.raises(TableError), recorded(spark, table, str(tmp_path), a_run("bad")):
        raise TableError("it went")

    rows = {row.run_id: row for row in tables.read_table(spark, table).collect()}

    assert (rows["good"].exit_code, rows["good"].error) == (0, None)
    assert (rows["bad"].exit_code, rows["bad"].error) == (2, "TableError: it went")
    good = rows["good"]
    assert (good.images, good.garments, good.images_per_second) == (10, 12, 2.5)
    assert good.status_counts == {"tagged": 9, "rejected": 1}
    assert good.reason_counts == {"empty": 1}
    assert good.stage_seconds == {"detect": 2.5}
    assert good.config_sha256 == TaggingConfig().digest()
    assert good.versions["pyspark"].startswith("4.")
    assert good.ended_at >= good.started_at

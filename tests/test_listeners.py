"""Who else hears of a run: JSON lines, Spark's metrics, MLflow."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jeans_udf.config import TaggingConfig
from jeans_udf.errors import ConfigError
from jeans_udf.listeners import JsonLines, MlflowRun, SparkMetrics, spark_metrics
from jeans_udf.runs import Listener, Run, Tally

TALLY = Tally(
    10, 7, Counter(tagged=6, no_garment=3, rejected=1), Counter(truncated=1), Counter(detect=2.5)
)


def a_run(*listeners: Listener) -> Run:
    run = Run("shop.product_images", "m-1", "sha", TaggingConfig(), "r1", listeners=listeners)
    run.run_no, run.drift = 3, {"wash": 0.125}
    return run


def test_a_line_for_each_batch_and_one_for_the_run(tmp_path: Path) -> None:
    file = tmp_path / "new" / "metrics.jsonl"
    run = a_run(JsonLines(str(file)))
    run.add(TALLY, 5.0)
    run.add(TALLY, 5.0)
    run.finish()
    run.tell_end()
    # Another run appends.
    other = a_run(JsonLines(str(file)))
    other.finish(ValueError("no disk"))
    other.tell_end()
    first, second, whole, failed = map(json.loads, file.read_text().splitlines())
    assert {first["event"], second["event"]} == {"batch"} and first["run_id"] == "r1"
    assert (first["images"], first["seconds"], first["stage_seconds"]) == (10, 5.0, {"detect": 2.5})
    assert whole["event"] == "run" and whole["exit_code"] == 0 and whole["run_no"] == 3
    assert (whole["images"], whole["garments"], whole["images_per_second"]) == (20, 14, 2.0)
    assert whole["status_counts"] == {"tagged": 12, "no_garment": 6, "rejected": 2}
    assert whole["drift"] == {"wash": 0.125}
    assert failed["exit_code"] == 1 and failed["error"] == "ValueError: no disk"


def test_a_file_that_cannot_be_written_is_told_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--metrics .*cannot be written"):
        JsonLines(str(tmp_path / "file" / "metrics.jsonl"))
    with pytest.raises(ConfigError, match="a file of the driver's machine"):
        JsonLines("s3a://bucket/metrics.jsonl")


def test_a_listener_that_fails_costs_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    class Deaf:
        def batch(self, run: Run, tally: Tally, seconds: float) -> None:
            raise OSError("the server is gone")

        ended = batch

    run = a_run(Deaf())
    run.add(TALLY, 1.0)
    assert run.finish() == 0 and run.images == 10
    run.tell_end()
    assert "run r1: Deaf: OSError: the server is gone" in capsys.readouterr().err


def test_sparks_metrics_system_has_the_counts(spark: SparkSession) -> None:
    run = a_run(SparkMetrics(spark))
    run.add(TALLY, 1.5)
    run.add(TALLY, 1.0)
    run.finish()
    jvm: Any = spark.sparkContext._jvm
    sources = jvm.org.apache.spark.SparkEnv.get().metricsSystem().getSourcesByName(
        "AccumulatorSource"
    )
    # The last one registered: other tests' runs have theirs.
    gauges = sources.apply(sources.size() - 1).metricRegistry().getGauges()
    names = ("images", "garments", "rejected", "batches", "milliseconds")
    found = {name: gauges.get(f"jeans_udf.{name}").getValue() for name in names}
    assert found == {
        "images": 20, "garments": 14, "rejected": 2, "batches": 2, "milliseconds": 2500,
    }  # fmt: skip


def test_a_spark_without_the_classes_costs_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    bare: Any = SimpleNamespace(sparkContext=SimpleNamespace(_jsc=None, _jvm=None))
    assert spark_metrics(bare) == ()
    assert "no gauges in Spark's metrics" in capsys.readouterr().err


def test_mlflow_gets_numbers_and_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    said: dict[str, Any] = {}
    fake = SimpleNamespace(
        set_experiment=lambda name: said.update(experiment=name),
        start_run=lambda run_name: said.update(name=run_name),
        set_tags=lambda values: said.update(tags=values),
        end_run=lambda status: said.update(status=status),
        log_params=lambda values: said.update(params=values),
        log_metrics=lambda values: said.update(metrics=values),
        log_dict=lambda values, file: said.update({file: values}),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    run = a_run(MlflowRun("catalog"))
    run.add(TALLY, 5.0)
    run.finish()
    run.tell_end()
    assert (said["experiment"], said["name"]) == ("catalog", "r1")
    assert said["params"]["model_version"] == "m-1"
    assert said["metrics"]["status_counts.rejected"] == 1.0
    assert said["metrics"]["drift.wash"] == 0.125 and said["metrics"]["images_per_second"] == 2.0
    assert said["tagging.yaml"]["bundle"] == "default"
    assert said["tags"] == {"exit_code": "0", "error": ""} and said["status"] == "FINISHED"
    run.finish(ValueError("no disk"))
    run.tell_end()
    assert said["tags"]["error"] == "ValueError: no disk" and said["status"] == "FAILED"


def test_without_mlflow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match="pip install mlflow-skinny"):
        MlflowRun("catalog")

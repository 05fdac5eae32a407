"""Who else hears of a run: a file of JSON lines, Spark's metrics, MLflow.

Each is told of every committed batch and of the run's end. A failure of one
is a line on standard error and never costs a run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from jeans_udf.errors import EXIT_OK, EXIT_OVER_LIMIT, ConfigError
from jeans_udf.runs import Run, Tally

SOURCE = "jeans_udf"
"""What the gauges' names begin with."""


class JsonLines:
    """Appends an object a line to a file of the driver: ``event`` is batch or run."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        if "://" in path:
            raise ConfigError(f"--metrics {path}: wanted a file of the driver's machine")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("a").close()
        except OSError as error:
            raise ConfigError(f"--metrics {path}: cannot be written: {error.strerror}") from None

    def batch(self, run: Run, tally: Tally, seconds: float) -> None:
        self._write("batch", run, batch_values(tally, seconds))

    def ended(self, run: Run) -> None:
        self._write("run", run, run_values(run))

    def _write(self, event: str, run: Run, values: Mapping[str, Any]) -> None:
        head = {"event": event, "at": datetime.now(UTC).isoformat(), "run_id": run.run_id}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(head | dict(values)) + "\n")


class SparkMetrics:
    """Gauges of Spark's own metrics system, for whatever sink it has (Prometheus, JMX, a file).

    Of the source AccumulatorSource, as ``<application>.driver.AccumulatorSource.jeans_udf.images``.
    """

    NAMES = ("images", "garments", "rejected", "batches", "milliseconds")

    def __init__(self, spark: SparkSession) -> None:
        context, jvm = spark.sparkContext._jsc.sc(), spark.sparkContext._jvm
        assert jvm is not None
        self.gauges = {name: context.longAccumulator(f"{SOURCE}.{name}") for name in self.NAMES}
        named = {f"{SOURCE}.{name}": gauge for name, gauge in self.gauges.items()}
        source = jvm.org.apache.spark.metrics.source.LongAccumulatorSource()
        source.register(jvm.PythonUtils.toScalaMap(named))
        jvm.org.apache.spark.SparkEnv.get().metricsSystem().registerSource(source)

    def batch(self, run: Run, tally: Tally, seconds: float) -> None:
        values = (tally.images, tally.garments, tally.statuses["rejected"], 1, int(1000 * seconds))
        for name, value in zip(self.NAMES, values, strict=True):
            self.gauges[name].add(value)

    def ended(self, run: Run) -> None:
        """Nothing: the last batch has said it all."""


def spark_metrics(spark: SparkSession) -> tuple[SparkMetrics, ...]:
    """The gauges; none where a vendor's Spark does not have the classes for them."""
    try:
        return (SparkMetrics(spark),)
    except Exception as error:  # of the JVM, in many kinds
        print(f"no gauges in Spark's metrics: {type(error).__name__}", file=sys.stderr)
        return ()


class MlflowRun:
    """An MLflow run for each run: configuration, counts, rates, drift."""

    def __init__(self, experiment: str) -> None:
        try:
            import mlflow
        except ImportError:
            raise ConfigError(
                f"--mlflow {experiment}: mlflow is not installed; pip install mlflow-skinny"
            ) from None
        self.mlflow, self.experiment = mlflow, experiment

    def batch(self, run: Run, tally: Tally, seconds: float) -> None:
        """Nothing: one entry a run."""

    def ended(self, run: Run) -> None:
        values = run_values(run)
        self.mlflow.set_experiment(self.experiment)
        # MLflow's own word for a run that did not do its work; over a limit (3) it did.
        failed = run.exit_code not in (EXIT_OK, EXIT_OVER_LIMIT)
        self.mlflow.start_run(run_name=run.run_id)
        try:
            self.mlflow.set_tags({"exit_code": str(run.exit_code), "error": run.error or ""})
            names = ("kind", "model_version", "bundle_sha256", "config_sha256", "source")
            self.mlflow.log_params({name: values[name] for name in names})
            self.mlflow.log_metrics(dict(_numbers(values)))
            self.mlflow.log_dict(run.config.model_dump(mode="json"), "tagging.yaml")
        finally:
            self.mlflow.end_run("FAILED" if failed else "FINISHED")


def batch_values(tally: Tally, seconds: float) -> dict[str, Any]:
    """What is told of a batch."""
    return {
        "images": tally.images,
        "garments": tally.garments,
        "status_counts": dict(tally.statuses),
        "reason_counts": dict(tally.reasons),
        "seconds": round(seconds, 3),
        "stage_seconds": {name: round(value, 3) for name, value in tally.stage_seconds.items()},
    }


def run_values(run: Run) -> dict[str, Any]:
    """What is told of a run; names as the columns of tagging_runs."""
    rate = run.images_per_second
    return {
        "run_no": run.run_no,
        "kind": run.kind,
        "source": run.source,
        "exit_code": run.exit_code,
        "error": run.error,
        "images": run.images,
        "recalled": run.recalled,
        "deleted": run.deleted,
        "garments": run.garments,
        "status_counts": dict(run.statuses),
        "reason_counts": dict(run.reasons),
        "drift": dict(run.drift),
        "images_per_second": None if rate is None else round(rate, 3),
        "wall_seconds": round(run.wall_seconds, 3),
        "stage_seconds": {name: round(value, 3) for name, value in run.stage_seconds.items()},
        "model_version": run.model_version,
        "bundle_sha256": run.bundle_sha256,
        "config_sha256": run.config.digest(),
    }


def _numbers(values: Mapping[str, Any]) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += [(f"{name}.{key}", float(number)) for key, number in value.items()]
        elif isinstance(value, int | float):
            found.append((name, float(value)))
    return found

"""What Spark gives the pass over the pixels, and no other stage: its resource profile."""

from __future__ import annotations

from pyspark.resource import (
    ExecutorResourceRequests,
    ResourceProfile,
    ResourceProfileBuilder,
    TaskResourceRequests,
)
from pyspark.sql import SparkSession

from jeans_udf.config import Stage
from jeans_udf.errors import ConfigError

GPU = "gpu"


def pixel_profile(spark: SparkSession, stage: Stage) -> ResourceProfile | None:
    """The profile that ``stage`` asks for; None where it asks for nothing.

    With requests for tasks alone the application's executors run the pass, each task with its
    share; with requests for executors, Spark starts executors for the pass and lets them go after
    it, which takes dynamic allocation. Raises `ConfigError` where Spark would fail in the middle.
    https://spark.apache.org/docs/latest/configuration.html#stage-level-scheduling-overview
    """
    if not stage.asks:
        return None
    conf = spark.sparkContext.getConf()
    if str(conf.get("spark.master", "")).startswith("local"):
        raise ConfigError(
            "stage: a local master has one executor for everything; leave stage.* out, or submit "
            "to a cluster (docs/platforms.md)"
        )
    if stage.asks_executors and conf.get("spark.dynamicAllocation.enabled", "false") != "true":
        raise ConfigError(
            "stage.executor_*: executors of their own come and go by dynamic allocation; set "
            "spark.dynamicAllocation.enabled=true, or leave these out and keep stage.task_*"
        )
    tasks = TaskResourceRequests()
    tasks.cpus(stage.task_cpus or int(str(conf.get("spark.task.cpus", "1"))))
    if stage.task_gpus:
        tasks.resource(GPU, stage.task_gpus)
    builder = ResourceProfileBuilder().require(tasks)
    if stage.asks_executors:
        builder = builder.require(_executors(stage))
    return builder.build


def _executors(stage: Stage) -> ExecutorResourceRequests:
    executors = ExecutorResourceRequests()
    executors.cores(stage.executor_cores)
    executors.memory(stage.executor_memory)
    if stage.executor_overhead:
        executors.memoryOverhead(stage.executor_overhead)
    if stage.executor_gpus:
        executors.resource(GPU, stage.executor_gpus, stage.discovery_script)
    return executors

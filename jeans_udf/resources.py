"""What Spark gives the pass over the pixels, and no other stage: its resource profile."""

from __future__ import annotations

from pyspark import SparkConf
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
NVIDIA = "nvidia.com"
"""Kubernetes asks for ``nvidia.com/gpu``, and starts no pod for a profile without a vendor."""


def pixel_profile(spark: SparkSession, stage: Stage) -> ResourceProfile | None:
    """The profile that ``stage`` asks for; None where it asks for nothing.

    With requests for tasks alone the application's executors run the pass, each task with its
    share, which takes a fixed number of them; with requests for executors, Spark starts executors
    for the pass and lets all go but spark.dynamicAllocation.minExecutors of them after it, which
    takes dynamic allocation. Raises `ConfigError` where Spark would fail in the middle, or wait.
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
    dynamic = conf.get("spark.dynamicAllocation.enabled", "false") == "true"
    if dynamic and not stage.asks_executors:
        raise ConfigError(
            "stage.task_*: under dynamic allocation Spark starts a second set of executors for "
            "these; set spark.dynamicAllocation.enabled=false and spark.executor.instances, or "
            "ask for executors of their own by stage.executor_*"
        )
    if stage.task_gpus and not stage.asks_executors and not _gpus(conf):
        raise ConfigError(
            "stage.task_gpus: the application's executors have no GPU; set "
            "spark.executor.resource.gpu.amount (conf/spark/gpu.conf)"
        )
    if stage.asks_executors and not dynamic:
        raise ConfigError(
            "stage.executor_*: executors of their own come and go by dynamic allocation; set "
            "spark.dynamicAllocation.enabled=true, or leave these out and keep stage.task_*"
        )
    tasks = TaskResourceRequests()
    tasks.cpus(stage.task_cpus or int(str(conf.get("spark.task.cpus", "1"))))
    # Of what a profile leaves out Spark takes over the cores alone, not the GPUs.
    gpus = stage.task_gpus or (0 if stage.asks_executors else _task_gpus(conf))
    if gpus:
        tasks.resource(GPU, gpus)
    builder = ResourceProfileBuilder().require(tasks)
    if stage.asks_executors:
        vendor = str(conf.get("spark.executor.resource.gpu.vendor", NVIDIA))
        builder = builder.require(_executors(stage, vendor))
    return builder.build


def gpu_share(spark: SparkSession, stage: Stage) -> float:
    """The part of a GPU's memory that a task of the pass may take; 1 where it has one alone.

    Spark's Python workers outlive their tasks. Of an executor with several GPUs each may have met
    each GPU, and keeps its models there.
    """
    conf = spark.sparkContext.getConf()
    share = stage.task_gpus or _task_gpus(conf) or 1.0
    each = stage.executor_gpus or _gpus(conf)
    return share / max(1.0, each) if share < 1 else 1.0


def _gpus(conf: SparkConf) -> float:
    """GPUs of an executor."""
    return float(str(conf.get("spark.executor.resource.gpu.amount", "0")))


def _task_gpus(conf: SparkConf) -> float:
    return float(str(conf.get("spark.task.resource.gpu.amount", "0")))


def _executors(stage: Stage, vendor: str) -> ExecutorResourceRequests:
    executors = ExecutorResourceRequests()
    executors.cores(stage.executor_cores)
    executors.memory(stage.executor_memory)
    if stage.executor_overhead:
        executors.memoryOverhead(stage.executor_overhead)
    if stage.executor_gpus:
        executors.resource(GPU, stage.executor_gpus, stage.discovery_script, vendor)
    return executors

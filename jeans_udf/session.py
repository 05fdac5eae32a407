"""The one place that starts Spark: Delta on local jars, UTC, quiet, safe for Python workers.

What spark-submit (or a properties file) has set wins; the defaults below only fill the gaps.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

DEFAULT_JAR_FOLDER = Path(sys.prefix) / "share" / "jeans_udf" / "jars"
LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")

# The extension and the catalog make `USING delta` and Delta's SQL statements known to Spark.
DELTA_SETTINGS = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}

# Good on a laptop and on a cluster alike.
COMMON_SETTINGS = {
    # Timestamps in the tables mean the same on every machine.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # The models load once per worker process, so the process has to outlive its task.
    "spark.python.worker.reuse": "true",
    # A native crash in an image library then names the Python line in the executor's log.
    "spark.python.worker.faulthandler.enabled": "true",
    "spark.sql.execution.pyspark.udf.faulthandler.enabled": "true",
    # A worker that hangs in native code is killed, and its task retried, after ten silent minutes.
    "spark.python.worker.idleTimeoutSeconds": "600",
    "spark.python.worker.killOnIdleTimeout": "true",
    "spark.sql.execution.pyspark.udf.idleTimeoutSeconds": "600",
    "spark.sql.execution.pyspark.udf.killOnIdleTimeout": "true",
    # glibc gives large blocks back to the system at once and fetches them anew for each layer of a
    # network; kept, they make the models a third faster on a CPU. A worker keeps its largest need.
    "spark.executorEnv.MALLOC_MMAP_THRESHOLD_": "4294967296",
    "spark.executorEnv.MALLOC_TRIM_THRESHOLD_": "4294967296",
    "spark.executorEnv.MALLOC_TOP_PAD_": "67108864",
    # One heap for all threads of a process: a fifth less memory, as fast within what could be told.
    "spark.executorEnv.MALLOC_ARENA_MAX": "1",
    "spark.log.level": "WARN",
}

# The JVM's second compiler starts ten times later. It took the models' cores during a run's first
# minute, for code that a driver runs a few times; long merges still get it.
LATE_C2 = (
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
)

# Only for a local master: a cluster's manager knows these better.
LOCAL_SETTINGS = {
    "spark.driver.memory": "4g",
    # Loopback: no port is open to the network, and a VPN that comes up cannot move the driver.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Spark's 200 would be 200 tiny files per write here.
    "spark.sql.shuffle.partitions": "8",
    # Delta's 50 tasks to read a table's log are for tables of millions of files.
    "spark.databricks.delta.snapshotPartitions": "2",
}


def build_session(
    app_name: str, conf: Mapping[str, str] | None = None, master: str | None = None
) -> SparkSession:
    """A SparkSession with Delta. Strongest first: `master` and `conf`, spark-submit, our defaults.

    spark-submit itself sets `local[*]` where nobody names a master, and that master retries no
    task: a submit on one machine takes its master from `conf/spark/local.conf`.
    """
    # Executors run this interpreter: another one on the PATH would miss the models' libraries.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    submitted = _submitted()
    asked = dict(conf or {})
    if master is not None:
        asked["spark.master"] = master
    # Local mode retries no failed task unless its master says so: `,4` is a cluster's default.
    cores = os.cpu_count() or 1
    chosen = asked.get("spark.master") or submitted.get("spark.master") or f"local[{cores},4]"

    settings = dict(COMMON_SETTINGS)
    # Databricks' runtimes have a Delta and a catalog of their own, which must stay.
    if not _on_databricks():
        settings |= DELTA_SETTINGS | _jar_settings(submitted, asked)
    if chosen.startswith("local"):
        settings |= LOCAL_SETTINGS
        # A user's own java options replace these whole: ours name the log settings, and the JIT.
        log_option = f"-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}"
        settings["spark.driver.extraJavaOptions"] = " ".join((log_option, *LATE_C2))
    settings = {key: value for key, value in settings.items() if key not in submitted}
    settings |= asked | {"spark.master": chosen}

    builder = SparkSession.builder.appName(app_name)
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    # What Spark's UI shows of a job until its owner says more.
    spark.sparkContext.setJobDescription(app_name)
    return spark


def stop_session(spark: SparkSession) -> None:
    """End the session at a job's end; on Databricks the tasks of a job share one, which stays."""
    if not _on_databricks():
        spark.stop()


def delta_jars(folder: Path = DEFAULT_JAR_FOLDER) -> list[Path]:
    """The jars that setup fetched; empty when Delta's own is not among them."""
    jars = sorted(folder.glob("*.jar"))
    return jars if any("delta-spark" in jar.name for jar in jars) else []


def _on_databricks() -> bool:
    return "DATABRICKS_RUNTIME_VERSION" in os.environ


def _submitted() -> dict[str, str]:
    """What is set already. spark-submit starts the JVM first and leaves it as system properties."""
    if SparkContext._active_spark_context is not None:
        return dict(SparkContext._active_spark_context.getConf().getAll())
    if SparkContext._gateway is None and "PYSPARK_GATEWAY_PORT" not in os.environ:
        # No JVM yet: starting one to look would fix the driver's memory before ours is set.
        return {}
    SparkContext._ensure_initialized()
    return dict(SparkConf(loadDefaults=True).getAll())


def _jar_settings(submitted: Mapping[str, str], asked: Mapping[str, str]) -> dict[str, str]:
    """Delta's jars: those the caller names, else the local ones, else a fetch over the network."""
    named = ("spark.jars", "spark.jars.packages", "spark.driver.extraClassPath")
    if any("delta" in settings.get(key, "") for settings in (submitted, asked) for key in named):
        return {}
    jars = delta_jars()
    if jars:
        # spark.jars ships them to executors too; a class path only names files of this machine.
        return {"spark.jars": ",".join(str(jar) for jar in jars)}
    from delta import configure_spark_with_delta_pip

    builder = configure_spark_with_delta_pip(SparkSession.Builder())
    return {"spark.jars.packages": builder._options["spark.jars.packages"]}

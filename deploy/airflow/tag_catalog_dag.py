"""Nightly refresh of a tagged catalog: ingest, tag, then embeddings and report side by side.

For Airflow 2.10 and 3 with apache-airflow-providers-apache-spark. A worker needs this repository
with its .venv in JEANS_UDF_HOME, and the connection ``spark_default``: master and deploy mode, as
``yarn`` and ``client``. Airflow's variables jeans_udf_images, jeans_udf_source, jeans_udf_output,
jeans_udf_report and jeans_udf_bundle say what to work on and with; the parameters of a run are
stronger. A webhook that takes ``{"text": ...}`` (Slack, Mattermost, Teams) in jeans_udf_webhook is
told what went wrong.
"""

from __future__ import annotations

import json
import os
import re
import urllib.request
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator

try:
    from airflow.sdk import DAG, Param
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.models.param import Param
try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 2, and early 3
    from airflow.exceptions import AirflowFailException

HOME = os.environ.get("JEANS_UDF_HOME", "/opt/jeans_udf")
SETTINGS = os.environ.get("JEANS_UDF_SPARK_CONF", "conf/spark/yarn.conf")
# On Kubernetes local:///opt/jeans_udf/jobs: there the jobs are those of the image.
JOBS = os.environ.get("JEANS_UDF_JOBS", "jobs")

# Of the jobs: jeans_udf/errors.py, which a scheduler need not have installed.
BAD_REQUEST, OVER_LIMIT = 2, 3

IMAGES = "{{ params.images or var.value.jeans_udf_images }}"
SOURCE = "{{ params.source or var.value.jeans_udf_source }}"
OUTPUT = "{{ params.output or var.value.jeans_udf_output }}"
REPORT = "{{ params.report or var.value.jeans_udf_report }}"
# On a cluster a path that every node has, with a slash (docs/platforms.md).
BUNDLE = "bundle={{ params.bundle or var.value.get('jeans_udf_bundle', 'default') }}"

EXIT_CODES = (
    # spark-submit itself may end with 0 or 1 in cluster mode, so the driver's own word comes first.
    r"Kubernetes spark exit code is: (\d+)",
    r"User application exited with status (\d+)",
    r"Error code is: (\d+)",
)


def exit_code(message: str) -> int | None:
    """The job's exit code, of what the Spark provider says about a failed spark-submit."""
    for pattern in EXIT_CODES:
        found = re.search(pattern, message)
        if found is not None:
            return int(found[1])
    return None


class JobOperator(SparkSubmitOperator):
    """A job of this repository; its exit code decides what comes next.

    0 and 3 go on, and 3 tells somebody to look: the rows are written. 2 is not tried again, since
    nothing will have changed. 1 (failed) and 4 (another run at work) are: the same command goes on.
    """

    template_fields = (*SparkSubmitOperator.template_fields, "webhook")

    def __init__(self, *, webhook: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.webhook = webhook

    def execute(self, context: Any) -> None:
        # A task has a process of its own. The settings' paths are relative to the repository, and
        # the provider starts the spark-submit that the PATH has.
        os.chdir(HOME)
        os.environ["PATH"] = f"{HOME}/.venv/bin{os.pathsep}{os.environ['PATH']}"
        try:
            super().execute(context)
        except Exception as error:
            code = exit_code(str(error))
            if code == BAD_REQUEST:
                raise AirflowFailException(
                    f"{self.task_id}: bad configuration, bundle or table (exit code 2); the log "
                    "says which, and nothing was done"
                ) from error
            if code != OVER_LIMIT:
                raise
            self.tell(context, "finished, but rejected images or drift are over the limit (exit "
                      "code 3): the rows are written, look at them")  # fmt: skip

    def tell(self, context: Any, text: str) -> None:
        """Say it in the log, and to the webhook if there is one."""
        message = f"{self.dag_id}.{self.task_id} of {context['run_id']}: {text}"
        self.log.error(message)
        if not self.webhook:
            return
        try:
            if not self.webhook.startswith("https://"):
                raise ValueError("wanted a webhook of https://")
            body = json.dumps({"text": message}).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(self.webhook, body, headers)
            urllib.request.urlopen(request, timeout=30).close()
        except (OSError, ValueError) as error:
            # Failing here would try a run again that has done its work, and lose this message.
            self.log.error("the webhook could not be told: %s", error)


def failed(context: Any) -> None:
    """After the last try."""
    context["task"].tell(context, f"failed: {str(context.get('exception'))[:500]}")


def job(name: str, *arguments: str) -> JobOperator:
    """The task that runs ``jobs/<name>.py``; configuration of your own goes into its arguments."""
    return JobOperator(
        task_id=name,
        name=name.replace("_", "-"),
        application=f"{JOBS}/{name}.py",
        application_args=list(arguments),
        properties_file=SETTINGS,
        webhook="{{ var.value.get('jeans_udf_webhook', '') }}",
        retries=2,
        retry_delay=timedelta(minutes=10),
        on_failure_callback=failed,
    )


with DAG(
    dag_id="tag_catalog",
    description="Ingest images, tag what changed, embed texts, write the report",
    schedule="0 2 * * *",
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 (Airflow's Python 3.10)
    catchup=False,
    # An output has one run at a time; a second one would only wait for it.
    max_active_runs=1,
    params={
        "images": Param("", type="string", description="Folder with image files"),
        "source": Param("", type="string", description="Table of product images"),
        "output": Param("", type="string", description="Directory or schema of the tables"),
        "report": Param("", type="string", description="The HTML page to write"),
        "bundle": Param("", type="string", description="Model bundle: a directory or a name"),
    },
    tags=["jeans_udf"],
) as dag:
    # --mirror removes rows of images that are gone; it refuses a folder that shows none at all.
    ingest = job("ingest_images", "--images", IMAGES, "--table", SOURCE, "--mirror")
    tag = job(
        "tag_catalog", "--source", SOURCE, "--output", OUTPUT, "--set", BUNDLE,
        "--run-id", "{{ run_id }}", "--wait", "600",
    )  # fmt: skip
    embed = job("embed_products", "--source", SOURCE, "--output", OUTPUT)
    report = job("report", "--source", SOURCE, "--output", OUTPUT, "--html", REPORT)
    ingest >> tag >> [embed, report]

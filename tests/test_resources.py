"""The resource profile of the pass over the pixels, and what Spark would refuse later."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jeans_udf.config import Stage, load_config
from jeans_udf.errors import ConfigError
from jeans_udf.resources import gpu_share, pixel_profile

SCRIPT = Path(__file__).parents[1] / "scripts" / "find_gpus.sh"


def session_of(**settings: str) -> Any:
    """Something that has a session's settings and nothing else."""
    conf = {key.replace("_", "."): value for key, value in settings.items()}
    return SimpleNamespace(sparkContext=SimpleNamespace(getConf=lambda: conf))


def test_asking_for_nothing_changes_nothing(spark: SparkSession) -> None:
    assert pixel_profile(spark, Stage()) is None


def test_a_local_master_is_told(spark: SparkSession) -> None:
    with pytest.raises(ConfigError, match="stage: a local master"):
        pixel_profile(spark, Stage(task_gpus=0.5))


def test_executors_of_their_own_take_dynamic_allocation() -> None:
    stage = Stage(executor_cores=4, executor_memory="4g")
    with pytest.raises(ConfigError, match="dynamicAllocation.enabled=true"):
        pixel_profile(session_of(spark_master="yarn"), stage)


def test_a_share_takes_executors_that_have_gpus_and_stay() -> None:
    stage = Stage(task_gpus=0.125)
    with pytest.raises(ConfigError, match="a second set of executors"):
        conf = {"spark.master": "yarn", "spark.dynamicAllocation.enabled": "true"}
        pixel_profile(SimpleNamespace(sparkContext=SimpleNamespace(getConf=lambda: conf)), stage)
    with pytest.raises(ConfigError, match="executors have no GPU"):
        pixel_profile(session_of(spark_master="yarn"), stage)


@pytest.mark.parametrize(
    ("conf", "task_gpus", "share"),
    [({}, 0, 1.0), ({"spark.task.resource.gpu.amount": "0.125"}, 0, 0.125),
     ({"spark.task.resource.gpu.amount": "2"}, 0, 1.0),
     ({"spark.task.resource.gpu.amount": "0.125"}, 0.25, 0.25),
     ({"spark.task.resource.gpu.amount": "0.125",
       "spark.executor.resource.gpu.amount": "2"}, 0, 0.0625)],
)  # fmt: skip
def test_a_task_may_take_its_share_of_a_gpus_memory(
    conf: dict[str, str], task_gpus: float, share: float
) -> None:
    session: Any = SimpleNamespace(sparkContext=SimpleNamespace(getConf=lambda: conf))
    assert gpu_share(session, Stage(task_gpus=task_gpus)) == share


def test_tasks_get_their_share_of_the_executors_there_are(spark: SparkSession) -> None:
    profile = pixel_profile(
        session_of(
            spark_master="yarn", spark_task_cpus="2", spark_executor_resource_gpu_amount="1"
        ),
        Stage(task_gpus=0.125),
    )
    assert profile is not None and profile.executorResources == {}
    tasks = {name: request.amount for name, request in profile.taskResources.items()}
    assert tasks == {"cpus": 2.0, "gpu": 0.125}


def test_a_profile_for_cores_keeps_the_applications_gpus(spark: SparkSession) -> None:
    conf = {"spark.master": "yarn", "spark.executor.resource.gpu.amount": "1",
            "spark.task.resource.gpu.amount": "0.25"}  # fmt: skip
    session: Any = SimpleNamespace(sparkContext=SimpleNamespace(getConf=lambda: conf))
    profile = pixel_profile(session, Stage(task_cpus=2))
    assert profile is not None
    tasks = {name: request.amount for name, request in profile.taskResources.items()}
    assert tasks == {"cpus": 2.0, "gpu": 0.25}


def test_executors_are_asked_for_in_full(spark: SparkSession) -> None:
    stage = Stage(
        task_gpus=0.25, task_cpus=1, executor_gpus=1, executor_cores=4, executor_memory="8g",
        executor_overhead="14g", discovery_script="./find_gpus.sh",
    )  # fmt: skip
    conf = {"spark.master": "k8s://x", "spark.dynamicAllocation.enabled": "true"}
    session: Any = SimpleNamespace(sparkContext=SimpleNamespace(getConf=lambda: conf))
    profile = pixel_profile(session, stage)
    assert profile is not None
    asked = profile.executorResources
    assert {name: asked[name].amount for name in ("cores", "memory", "memoryOverhead", "gpu")} == {
        "cores": 4, "memory": 8192, "memoryOverhead": 14336, "gpu": 1,
    }  # fmt: skip
    assert asked["gpu"].discoveryScript == "./find_gpus.sh"
    assert asked["gpu"].vendor == "nvidia.com", "Kubernetes refuses a profile without one"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["stage.executor_gpus=1", "stage.task_gpus=1"], "executor_cores and executor_memory"),
        (["stage.executor_cores=4"], "executor_memory is not"),
        (["stage.executor_cores=4", "stage.executor_memory=4g", "stage.executor_gpus=1"],
         "set task_gpus"),
        (["stage.task_gpus=1.5"], "a part of one GPU, or whole ones"),
        (["stage.task_gpus=2", "stage.executor_cores=4", "stage.executor_memory=4g",
          "stage.executor_gpus=1"], "more than an executor has"),
        (["stage.task_cpus=8", "stage.executor_cores=4", "stage.executor_memory=4g"],
         "more than an executor has"),
        (["stage.executor_memory=four"], "executor_memory"),
        (["stage.task_gpu=1"], "task_gpus"),
    ],
)  # fmt: skip
def test_half_a_request_is_refused(settings: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_config(overrides=settings)


@pytest.mark.parametrize(
    ("visible", "addresses"),
    [("", []), ("3", ["0"]), ("4,GPU-1a2b", ["0", "1"]), ("-1", []), ("NoDevFiles", []),
     ("2,-1,3", ["0"])],
)
def test_the_script_counts_the_visible_gpus(visible: str, addresses: list[str]) -> None:
    done = subprocess.run([SCRIPT], env=os.environ | {"CUDA_VISIBLE_DEVICES": visible},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": addresses}


def test_the_script_asks_the_driver_and_says_when_there_is_none(tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    env = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    for body, addresses in (("printf '0\\n1\\n'", ["0", "1"]), ("exit 9", None)):
        tool.write_text(f"#!/bin/sh\n{body}\n")
        tool.chmod(0o755)
        done = subprocess.run([SCRIPT], env=env, capture_output=True, text=True, check=False)
        if addresses is None:
            assert done.returncode == 1 and "lists no GPU" in done.stderr
        else:
            assert json.loads(done.stdout)["addresses"] == addresses

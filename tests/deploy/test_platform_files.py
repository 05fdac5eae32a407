"""What the platforms' files say agrees with the code, with one another and with the repository."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyspark
import pytest
import yaml
from job_options import ROOT, check_arguments

from jeans_udf.config import TaggingConfig
from jeans_udf.devices import CUDA_BYTES
from jeans_udf.session import COMMON_SETTINGS, DELTA_SETTINGS

CONF = ROOT / "conf" / "spark"
CLUSTERS = ("yarn", "emr", "standalone", "kubernetes")
ADDITION = "gpu"
KUBERNETES = ROOT / "deploy" / "kubernetes"
DOCKERFILES = ("Dockerfile.cpu", "Dockerfile.cuda")
DATABRICKS = ROOT / "deploy" / "databricks"
PLACEHOLDER = re.compile(r"<[^>]*>|\b(HOST|REGISTRY|NAMESPACE|TODO|CHANGEME|XXX)\b|\.\.\.$")


def properties(name: str) -> dict[str, str]:
    """Key and value of each line of ``conf/spark/<name>.conf``; no key stands twice."""
    found: dict[str, str] = {}
    for line in (CONF / f"{name}.conf").read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        parts = line.split(None, 1)
        assert len(parts) == 2, f"{name}.conf: {line!r} has no value"
        key, value = parts[0], parts[1].strip()
        assert key not in found, f"{name}.conf: {key} stands twice"
        found[key] = value
    return found


def locked(package: str) -> str:
    """The version of a package in requirements.lock."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    match = re.search(rf"^{re.escape(package)}==(\S+)", text, re.MULTILINE)
    assert match is not None, package
    return match[1]


@pytest.mark.parametrize("name", [*CLUSTERS, ADDITION])
def test_every_line_is_a_setting_of_spark(name: str) -> None:
    settings = properties(name)
    assert len(settings) >= 8
    for key, value in settings.items():
        assert re.fullmatch(r"spark\.[A-Za-z0-9_.]+", key), f"{name}.conf: {key}"
        assert not PLACEHOLDER.search(value), f"{name}.conf: {key} has the placeholder {value}"


@pytest.mark.parametrize("name", CLUSTERS)
def test_clusters_have_the_sessions_settings(name: str) -> None:
    settings = properties(name)
    for key, value in (DELTA_SETTINGS | COMMON_SETTINGS).items():
        assert settings.get(key) == value, f"{name}.conf: {key}"


@pytest.mark.parametrize("name", [*CLUSTERS, ADDITION])
def test_parallelism_is_all_cores_of_all_executors(name: str) -> None:
    settings = properties(name)
    executors = int(settings["spark.dynamicAllocation.maxExecutors"])
    cores = int(settings["spark.executor.cores"])
    assert int(settings["spark.default.parallelism"]) == executors * cores


@pytest.mark.parametrize("name", [name for name in CLUSTERS if name != "standalone"])
def test_overhead_is_what_the_comment_reckons(name: str) -> None:
    settings = properties(name)
    wanted = 2.5 * int(settings["spark.executor.cores"]) + 2
    assert settings["spark.executor.memoryOverhead"] == f"{wanted:.0f}g"


def test_overhead_with_a_gpu_holds_what_every_task_may_take() -> None:
    settings = properties(ADDITION)
    task = TaggingConfig().isolation.max_memory_bytes + CUDA_BYTES + 250_000_000
    wanted = int(settings["spark.executor.cores"]) * task / 1e9 + 2
    assert settings["spark.executor.memoryOverhead"] == f"{wanted:.0f}g"


def test_a_gpu_is_shared_by_the_tasks_of_its_executor() -> None:
    settings = properties(ADDITION)
    share = float(settings["spark.task.resource.gpu.amount"])
    tasks = int(settings["spark.executor.cores"]) // int(settings["spark.task.cpus"])
    assert share * tasks == float(settings["spark.executor.resource.gpu.amount"])


@pytest.mark.parametrize("name", ["yarn", "emr"])
def test_delta_and_hadoop_are_those_of_the_environment(name: str) -> None:
    packages = properties(name)["spark.jars.packages"].split(",")
    minor = ".".join(locked("pyspark").split(".")[:2])
    assert packages[0] == f"io.delta:delta-spark_{minor}_2.13:{locked('delta-spark')}"
    (jar,) = (Path(pyspark.__file__).parent / "jars").glob("hadoop-client-api-*.jar")
    hadoop = jar.stem.removeprefix("hadoop-client-api-")
    assert all(package.endswith(f":{hadoop}") for package in packages[1:])
    assert f"Hadoop {hadoop}" in document("platforms")


@pytest.mark.parametrize("name", [*CLUSTERS, ADDITION])
def test_files_that_settings_name_are_there(name: str) -> None:
    for key, value in properties(name).items():
        if key.endswith("podTemplateFile"):
            assert (ROOT / value).is_file(), f"{name}.conf: {key}"
        if key.endswith("discoveryScript"):
            assert (ROOT / "scripts" / value).is_file(), f"{name}.conf: {key}"


def yaml_files() -> list[str]:
    found = [*(ROOT / "deploy").rglob("*.yaml"), *(ROOT / "deploy").rglob("*.yml")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", yaml_files())
def test_yaml_is_yaml(name: str) -> None:
    found = documents(name)
    assert found and all(isinstance(document, dict) for document in found)


@pytest.mark.parametrize("role", ["driver", "executor", "executor-gpu"])
def test_pods_run_as_sparks_user_with_room_for_its_files(role: str) -> None:
    (pod,) = documents(f"deploy/kubernetes/{role}-pod.yaml")
    assert pod["kind"] == "Pod" and pod["spec"]["securityContext"]["runAsUser"] == 185
    (container,) = pod["spec"]["containers"]
    assert container["name"] == f"spark-kubernetes-{role.split('-')[0]}"
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert any(name.startswith("spark-local-dir-") for name in mounts)


def test_gpu_pods_differ_in_where_they_may_land_alone() -> None:
    (plain,) = documents("deploy/kubernetes/executor-pod.yaml")
    (gpu,) = documents("deploy/kubernetes/executor-gpu-pod.yaml")
    assert gpu["spec"].pop("tolerations")
    assert gpu == plain


def test_the_account_is_the_one_that_the_settings_name() -> None:
    account, role, binding = documents("deploy/kubernetes/service-account.yaml")
    key = "spark.kubernetes.authenticate.driver.serviceAccountName"
    assert account["metadata"]["name"] == properties("kubernetes")[key]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert {"pods", "services", "configmaps"} <= set(role["rules"][0]["resources"])


def instructions(name: str) -> list[str]:
    text = (KUBERNETES / name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return "\n".join(lines).replace("\\\n", " ").splitlines()


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_are_made_of_files_of_the_repository(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = []
    for line in instructions(name):
        words = line.split()
        if words[:1] != ["COPY"] or any(word.startswith("--from=") for word in words):
            continue
        copied += [word for word in words[1:-1] if not word.startswith("--")]
    assert {"requirements.lock", "setup.py", "jeans_udf", "jobs", "conf"} <= set(copied)
    for source in copied:
        assert (ROOT / source).exists(), f"{name}: COPY {source}"
        assert source.split("/")[0] not in ignored, f".dockerignore leaves out {source}"


WHEEL = {"setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "THIRD_PARTY_NOTICES.md",
         "jeans_udf", "jobs", "conf"}  # fmt: skip
"""What a wheel is built from."""


def test_a_wheel_is_built_from_these(tmp_path: Path) -> None:
    for name in WHEEL:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build", "--build-lib", "out"], cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "out" / "jeans_udf" / "jobs" / "tag_catalog.py").is_file()


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_copy_them_before_they_install(name: str) -> None:
    copied: set[str] = set()
    for line in instructions(name):
        words = line.split()
        if words[:1] == ["RUN"] and "install" in words and "." in words:
            break
        if words[:1] == ["COPY"]:
            copied |= set(words[1:-1])
    else:
        pytest.fail("nothing is installed from the folder")
    assert copied >= WHEEL


def test_databricks_installs_from_them() -> None:
    text = (DATABRICKS / "install.sh").read_text(encoding="utf-8")
    (listed,) = re.findall(r"for part in (.*); do", text)
    assert set(listed.split()) == WHEEL


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_have_the_locks_spark_and_do_not_run_as_root(name: str) -> None:
    lines = instructions(name)
    assert f"ARG SPARK_VERSION={locked('pyspark')}" in lines
    assert lines[-2:] == ["USER 185", 'ENTRYPOINT ["/opt/entrypoint.sh"]']
    text = "\n".join(lines)
    jars = properties("kubernetes")["spark.driver.extraClassPath"].removesuffix("/*")
    assert f"--from=build {jars} {jars}" in text
    assert properties("kubernetes")["spark.pyspark.python"] in text
    pip = re.search(r"^PIP=(\S+)", (ROOT / "scripts/setup.sh").read_text("utf-8"), re.MULTILINE)
    assert pip is not None and f"pip=={pip[1]}" in text


def databricks_job() -> dict[str, Any]:
    (bundle,) = documents("deploy/databricks/databricks.yml")
    job = bundle["resources"]["jobs"]["tag_catalog"]
    assert isinstance(job, dict)
    return job


def test_databricks_tasks_run_the_jobs_with_options_that_they_have() -> None:
    tasks = databricks_job()["tasks"]
    assert [task["task_key"] for task in tasks] == ["ingest", "tag", "embed", "report"]
    for task in tasks:
        call = task["spark_python_task"]
        file = (DATABRICKS / call["python_file"]).resolve()
        assert file.parent == ROOT / "jobs" and file.is_file()
        check_arguments(file.stem, [re.sub(r"\{\{.*\}\}", "a/b", p) for p in call["parameters"]])


def test_databricks_gpu_tasks_say_so_and_production_has_one_place() -> None:
    (bundle,) = documents("deploy/databricks/databricks.yml")
    targets = bundle["targets"]
    for name in ("prod", "prod_gpu"):
        assert targets[name]["mode"] == "production" and targets[name]["workspace"]["root_path"]
    (tag,) = targets["prod_gpu"]["resources"]["jobs"]["tag_catalog"]["tasks"]
    # Behind the parameters of the job itself: Databricks joins the two lists.
    check_arguments("tag_catalog", ["--source", "a", "--output", "b",
                                    *tag["spark_python_task"]["parameters"]])  # fmt: skip
    assert "device.kind=cuda" in tag["spark_python_task"]["parameters"]
    assert "default" not in bundle["variables"]["output"], "a Unity schema holds no checkpoints"


def test_databricks_parameters_are_declared() -> None:
    job = databricks_job()
    used = set(re.findall(r"\{\{job\.parameters\.(\w+)\}\}", str(job["tasks"])))
    assert used == {parameter["name"] for parameter in job["parameters"]}


def test_databricks_clusters_have_the_sessions_settings() -> None:
    (cluster,) = databricks_job()["job_clusters"]
    settings = cluster["new_cluster"]["spark_conf"]
    for key in COMMON_SETTINGS.keys() - {"spark.log.level"}:
        assert settings.get(key) == COMMON_SETTINGS[key], key


def test_databricks_requirements_are_setups_without_spark() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (wanted,) = (
        ast.literal_eval(node.value) for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "install_requires"
    )  # fmt: skip
    wanted = [text for text in wanted if not text.startswith(("pyspark", "delta-spark"))]
    lines = (DATABRICKS / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == wanted


def document(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")

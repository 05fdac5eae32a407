"""The DAG: its jobs take the options that it gives, and exit codes are read as the provider tells.

Airflow itself reads the file, too, in an environment of its own.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from job_options import ROOT, check_arguments

from jeans_udf import errors

HERE = Path(__file__).resolve().parent
DAG_FILE = ROOT / "deploy" / "airflow" / "tag_catalog_dag.py"
TREE = ast.parse(DAG_FILE.read_text(encoding="utf-8"))
PLACEHOLDER = "value"
"""Stands for what Airflow fills in."""


def job_calls() -> list[tuple[str, list[str]]]:
    """Name and arguments of every ``job(...)``, text that is not written there replaced."""
    calls = [
        node for node in ast.walk(TREE)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "job"
    ]  # fmt: skip
    found = []
    for call in calls:
        given = [a.value if isinstance(a, ast.Constant) else PLACEHOLDER for a in call.args]
        found.append((given[0], given[1:]))
    return found


def pieces(*names: str) -> dict[str, Any]:
    """These functions and constants of the file, without the imports that it needs as a whole."""
    wanted = [
        node for node in TREE.body
        if isinstance(node, ast.FunctionDef) and node.name in names
        or isinstance(node, ast.Assign) and _target(node) in names
        or isinstance(node, ast.Import) or isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
    ]  # fmt: skip
    space: dict[str, Any] = {}
    exec(compile(ast.Module(wanted, []), str(DAG_FILE), "exec"), space)
    return space


def _target(node: ast.Assign) -> str:
    first = node.targets[0]
    return first.id if isinstance(first, ast.Name) else ""


def test_there_are_four_jobs() -> None:
    names = sorted(name for name, _ in job_calls())
    assert names == ["embed_products", "ingest_images", "report", "tag_catalog"]


@pytest.mark.parametrize(("name", "arguments"), job_calls())
def test_each_job_is_there_and_takes_its_arguments(name: str, arguments: list[str]) -> None:
    assert (ROOT / "jobs" / f"{name}.py").is_file()
    check_arguments(name, arguments)


def test_the_application_lies_in_jobs() -> None:
    text = DAG_FILE.read_text(encoding="utf-8")
    assert 'application=f"{JOBS}/{name}.py"' in text and '"JEANS_UDF_JOBS", "jobs"' in text
    assert (ROOT / "conf" / "spark" / "yarn.conf").is_file() and "conf/spark/yarn.conf" in text


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Cannot execute: spark-submit jobs/tag_catalog.py. Error code is: 2.", 2),
        ("Cannot execute: spark-submit. Error code is: 0. Kubernetes spark exit code is: 3", 3),
        ("Error code is: 1.\nUser application exited with status 4", 4),
        ("Error code is: 1. Kubernetes spark exit code is: None", 1),
        ("No driver id is known", None),
    ],
)
def test_exit_codes_are_read_from_the_providers_words(message: str, code: int | None) -> None:
    read: Callable[[str], int | None] = pieces("exit_code", "EXIT_CODES")["exit_code"]
    assert read(message) == code


def test_the_codes_are_those_of_the_jobs() -> None:
    codes = next(
        node for node in TREE.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)
    )  # fmt: skip
    assert ast.literal_eval(codes.value) == (errors.EXIT_USAGE, errors.EXIT_OVER_LIMIT)


class Submit:
    """In the place of the provider's operator: ends as spark-submit would."""

    template_fields = ("conf",)

    def __init__(self, message: str | None) -> None:
        self.message, self.said = message, []
        self.task_id = self.dag_id = "tag_catalog"
        self.log = SimpleNamespace(error=lambda text, *more: self.said.append(text % more))

    def execute(self, context: Any) -> None:
        if self.message is not None:
            raise RuntimeError(self.message)


def operator(message: str | None, webhook: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A `JobOperator` of the file, on a `Submit` instead of Airflow's class."""
    wanted = [node for node in TREE.body if isinstance(node, ast.ClassDef)]
    space = pieces("exit_code", "EXIT_CODES") | {
        "SparkSubmitOperator": Submit, "AirflowFailException": PermissionError, "HOME": "/",
        "BAD_REQUEST": errors.EXIT_USAGE, "OVER_LIMIT": errors.EXIT_OVER_LIMIT, "Any": Any,
    }  # fmt: skip
    exec(compile(ast.Module(wanted, []), str(DAG_FILE), "exec"), space)
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    made = space["JobOperator"].__new__(space["JobOperator"])
    Submit.__init__(made, message)
    made.webhook = webhook
    return made


@pytest.mark.parametrize(
    ("code", "raised"), [(None, None), (3, None), (2, PermissionError), (1, RuntimeError),
                         (4, RuntimeError)]
)  # fmt: skip
def test_what_comes_of_an_exit_code(
    code: int | None, raised: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    message = None if code is None else f"Cannot execute. Error code is: {code}."
    task = operator(message, "", monkeypatch)
    with nullcontext() if raised is None else pytest.raises(raised):
        task.execute({"run_id": "r1"})
    assert any("look at them" in text for text in task.said) == (code == 3)


def test_a_webhook_that_fails_does_not_undo_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    told: list[Any] = []

    def refuse(request: Any, timeout: float) -> None:
        told.append(json.loads(request.data)["text"])
        raise OSError("HTTP Error 503")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    task = operator("Error code is: 3", "https://example.com/hook", monkeypatch)
    task.execute({"run_id": "r1"})
    assert len(told) == 1 and "exit code 3" in told[0]
    assert any("503" in text for text in task.said)
    task = operator("Error code is: 3", "http://example.com/hook", monkeypatch)
    task.execute({"run_id": "r1"})
    assert len(told) == 1 and any("https://" in text for text in task.said)


@pytest.fixture(scope="module")
def airflow() -> Path:
    """The Python of an environment with Airflow, made once; AIRFLOW_PYTHON names another."""
    if "AIRFLOW_PYTHON" in os.environ:
        return Path(os.environ["AIRFLOW_PYTHON"])
    wanted = HERE / "airflow-requirements.txt"
    folder = ROOT / "build" / f"airflow-{hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    done = folder / "complete"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "-r", wanted],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if install.returncode:
            pytest.skip(f"Airflow cannot be installed here: {install.stderr.strip()[-200:]}")
        done.touch()
    return python


def test_airflow_reads_it(airflow: Path, tmp_path: Path) -> None:
    env = os.environ | {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run([airflow, HERE / "read_dag.py", DAG_FILE], env=env, text=True,
                          capture_output=True, check=False, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    read = json.loads(done.stdout.splitlines()[-1])
    assert read["errors"] == {}
    tasks = read["dags"]["tag_catalog"]
    assert {name: task["after"] for name, task in tasks.items()} == {
        "ingest_images": [], "tag_catalog": ["ingest_images"],
        "embed_products": ["tag_catalog"], "report": ["tag_catalog"],
    }  # fmt: skip
    assert {task["operator"] for task in tasks.values()} == {"JobOperator"}
    assert all(task["retries"] == 2 for task in tasks.values())
    assert tasks["report"]["application"] == "jobs/report.py"

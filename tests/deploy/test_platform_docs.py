"""docs/platforms.md and docs/runbook.md: their commands, paths, links, queries and messages."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from job_options import ROOT, check_arguments, known_options
from pyspark.sql import SparkSession

from jeans_udf.schemas import IMAGE_STATUS, TAGGING_RUNS

NAMES = ("platforms", "runbook")
FOLDERS = "jobs|conf|scripts|deploy|docs|jeans_udf|tests|benchmarks"
SHORTEST = 6
"""Characters of a piece of a message that say anything."""


def document(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """Fenced blocks; the language of shell commands and settings is not named."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", document(name), re.MULTILINE | re.DOTALL)
    return [body for kind, body in found if kind == language]


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    return {slug(h) for h in re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", document(name))
    assert targets
    for target in targets:
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        path = ROOT / "docs" / (file or f"{name}.md")
        assert path.is_file(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("name", NAMES)
def test_paths_of_the_repository_exist(name: str) -> None:
    found = re.findall(rf"(?<![\w/.\-])((?:{FOLDERS})/[\w./\-]*[\w/])", document(name))
    assert len(set(found)) >= 5
    for path in sorted(set(found)):
        assert (ROOT / path).exists(), path


def job_commands(name: str) -> list[tuple[str, list[str]]]:
    lines = "\n".join(blocks(name, "")).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        match = re.search(r"jobs/(\w+)\.py(.*)$", line)
        if match is not None:
            found.append((match[1], shlex.split(match[2])))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_jobs_take_the_commands(name: str) -> None:
    commands = job_commands(name)
    assert len(commands) >= 3
    for job, arguments in commands:
        check_arguments(job, arguments)


@pytest.mark.parametrize("name", NAMES)
def test_options_within_sentences_are_the_jobs(name: str) -> None:
    for job, rest in re.findall(r"`[^`\n]*jobs/(\w+)\.py([^`\n]*)`", document(name)):
        assert set(re.findall(r"--[a-z-]+", rest)) <= known_options(job), job


def test_options_that_the_runbook_names_alone_are_tag_catalogs() -> None:
    named = set(re.findall(r"`(--[a-z-]+)", document("runbook")))
    assert len(named) >= 4
    assert named <= known_options("tag_catalog")


@cache
def told() -> str:
    """Every string of the product's code, one a line; adjacent literals are one."""
    files = [*(ROOT / "jeans_udf").rglob("*.py"), *(ROOT / "jobs").glob("*.py")]
    strings = [
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n".join(strings)


MESSAGES = [line for block in blocks("runbook", "text") for line in block.splitlines() if line]


def test_there_are_messages() -> None:
    assert len(MESSAGES) >= 25


@pytest.mark.parametrize("message", MESSAGES)
def test_the_code_says_what_the_runbook_quotes(message: str) -> None:
    pieces = [piece.strip() for piece in message.split("…")]
    pieces = [piece for piece in pieces if len(piece) >= SHORTEST]
    assert pieces, message
    for piece in pieces:
        assert piece in told(), piece


@pytest.fixture
def empty_tables(spark: SparkSession) -> Iterator[SparkSession]:
    tables = {"tagging_runs": TAGGING_RUNS, "image_status": IMAGE_STATUS}
    for name, schema in tables.items():
        spark.createDataFrame([], schema).createOrReplaceTempView(name)
    yield spark
    for name in tables:
        spark.catalog.dropTempView(name)


@pytest.mark.parametrize("query", blocks("runbook", "sql"))
def test_queries_name_columns_that_are_there(empty_tables: SparkSession, query: str) -> None:
    assert empty_tables.sql(query).columns

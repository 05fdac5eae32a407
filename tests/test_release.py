"""The wheel: all that a checkout's jobs need, one version, and a command that runs outside."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from jeans_udf import __version__
from jeans_udf.commands import job_files, main

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `python -m build` does, from an sdist, and that from what git would carry."""
    folder = tmp_path_factory.mktemp("release")
    source = folder / "source"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    if not names:
        pytest.skip("this is no git checkout: nothing says which files belong to it")
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    make_sdist = "import sys; from setuptools import build_meta as b; b.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", make_sdist, str(folder)], cwd=source, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    (sdist,) = folder.glob("*.tar.gz")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", str(folder), str(sdist)], check=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_has_jobs_configuration_bundle_and_licences(wheel: Path) -> None:
    assert wheel.name.startswith(f"jeans_udf-{__version__}-py3")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("jobs", "jeans_udf/jobs"), ("conf", "jeans_udf/conf"),
                           ("jeans_udf", "jeans_udf")):  # fmt: skip
        wanted = {
            f"{inside}/{file.relative_to(ROOT / folder)}" for file in (ROOT / folder).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }  # fmt: skip
        assert wanted <= names, sorted(wanted - names)
    for name in ("LICENSE", "THIRD_PARTY_NOTICES.md"):
        assert any(entry.endswith(f".dist-info/licenses/{name}") for entry in names), name
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "scripts"))]


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(__version__)}\b", text, re.MULTILINE)


def test_the_command_runs_jobs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target),
         "--disable-pip-version-check", str(wheel)], check=True,
    )  # fmt: skip
    env = os.environ | {"PYTHONPATH": str(target), "COLUMNS": "400"}

    def run(*arguments: str) -> str:
        done = subprocess.run([target / "bin" / "jeans-udf", *arguments], cwd=tmp_path, env=env,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("--version").strip() == __version__
    assert "usage: tag_catalog.py" in run("tag-catalog", "--help")
    assert f"{target}/jeans_udf/bundles/default" in re.sub(r"\s", "", run("doctor"))
    run("draw_catalog", "--dataset", "--count", "4", "--output", "drawn")
    # Its categories are those of the wheel's own conf/vocabulary.yaml.
    run("import_annotations", "--photos", "drawn/photos",
        "--annotations", "drawn/annotations/instances.json", "--output", "dataset")  # fmt: skip
    assert (tmp_path / "dataset" / "instances_train.json").is_file()


def test_every_job_is_a_command_and_a_wrong_one_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert set(job_files()) == {file.stem for file in (ROOT / "jobs").glob("*.py")} - {"__init__"}
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in job_files())
    assert main(["tag-catalogue"]) == 2
    assert "did you mean 'tag_catalog'" in capsys.readouterr().err


def test_each_dependency_has_its_notice() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    keywords = {n.arg: n.value for n in ast.walk(tree) if isinstance(n, ast.keyword)}
    wanted = ast.literal_eval(keywords["install_requires"])
    wanted += sum(ast.literal_eval(keywords["extras_require"]).values(), [])
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8")
    for requirement in wanted:
        name = re.split(r"[<>=]", requirement)[0]
        assert re.search(rf"^\| {re.escape(name)}\b", notices, re.MULTILINE), name

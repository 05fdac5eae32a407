"""Jobs end before any work, with exit code 2 and one sentence, when they are asked for nonsense."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from jobs import ingest_images, tag_catalog

TAG = ["--source", "/nowhere/images", "--output", "/nowhere/tags"]


@pytest.fixture(autouse=True)
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("Spark was started for a request that cannot work")

    for job in (tag_catalog, ingest_images):
        monkeypatch.setattr(job, "build_session", fail)


@pytest.mark.parametrize(
    ("job", "arguments", "message"),
    [
        (tag_catalog, [*TAG, "--set", "batch.max_file=3"], "did you mean 'max_files'"),
        (tag_catalog, [*TAG, "--config", "/nowhere.yaml"], "config /nowhere.yaml: cannot be read"),
        (tag_catalog, [*TAG, "--set", "bundle=absent"], "bundle 'absent': no such bundle"),
        (tag_catalog, [*TAG, "--set", "bundle=/nowhere/"], "manifest.json: No such file"),
        (tag_catalog, ["--source", "A-B", "--output", "x"], "table 'A-B': wanted a directory"),
        (tag_catalog, ["--source", "a.b", "--output", "a.b.c"], "output 'a.b.c': wanted"),
        (ingest_images, ["--images", "/nowhere", "--table", "t"], "--images /nowhere: is no dir"),
        (ingest_images, ["--listing", "/nowhere.csv", "--table", "t"], "cannot be read"),
    ],
)
def test_bad_requests_are_2_and_say_why(
    job: ModuleType, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert job.main(arguments) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1 and "Traceback" not in told


def test_images_and_listing_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        ingest_images.main(["--images", "a", "--listing", "b", "--table", "t"])
    with pytest.raises(SystemExit, match="2"):
        ingest_images.main(["--table", "t"])

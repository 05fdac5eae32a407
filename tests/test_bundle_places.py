"""Where executors look for the driver's bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from jeans_udf.bundle import SHIPPED, open_bundle
from jeans_udf.bundle_places import place_here, places_of


def test_a_bundle_of_the_package_is_known_by_its_name() -> None:
    places = places_of(open_bundle("default").directory)
    assert places == ("default",) and place_here(places) == "default"
    assert places_of(SHIPPED / "default") == ("default",)


def test_a_relative_bundle_is_also_looked_for_in_the_executors_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, executor = tmp_path / "driver", tmp_path / "executor"
    for folder in (driver, executor):
        (folder / "own").mkdir(parents=True)
    monkeypatch.chdir(driver)
    places = places_of(Path("own"))
    assert places == ("own/", f"{driver}/own/")
    monkeypatch.chdir(executor)
    assert place_here(places) == "own/"
    (executor / "own").rmdir()
    assert place_here(places) == f"{driver}/own/"
    (driver / "own").rmdir()
    # Where it is missing everywhere, the driver's path is what the error will name.
    assert place_here(places) == f"{driver}/own/"


def test_an_absolute_bundle_is_at_one_place_only(tmp_path: Path) -> None:
    places = places_of(tmp_path)
    assert places == (f"{tmp_path}/",)
    # Where it is missing, its own path is what the error will name.
    tmp_path.rmdir()
    assert place_here(places) == f"{tmp_path}/"

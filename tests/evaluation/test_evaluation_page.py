from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from jeans_udf.errors import UsageError
from jeans_udf.evaluation.charts import plot_confusion
from jeans_udf.evaluation.listings import Listing, figure
from jeans_udf.evaluation.page import Page, Plot, Row, Thumbnail, write_page
from jeans_udf.report.pictures import Album
from jeans_udf.strict_json import write_json

HOSTILE = "<img src=x onerror=alert(1)>\u202e"


def _page(picture: bool, plot: Path) -> Page:
    drawn = Album().photo(np.zeros((9, 9, 3), dtype=np.uint8)) if picture else None
    thumbnail = Thumbnail(drawn, HOSTILE, HOSTILE)
    return Page(
        title=HOSTILE,
        facts=[(HOSTILE, HOSTILE)],
        tiles=[("0.5", HOSTILE)],
        listings=[Listing(HOSTILE, (HOSTILE,), ((HOSTILE,),), HOSTILE)],
        plots=[Plot(HOSTILE, HOSTILE, plot)],
        rows=[Row("best", HOSTILE, HOSTILE, 3, (thumbnail,)), Row("worst", "Worst", "", 0, ())],
    )


@pytest.fixture(scope="module")
def plot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plot") / "confusion.png"
    return plot_confusion(np.eye(3, dtype=int), ["jeans", HOSTILE], file)


def test_names_of_strangers_stay_text(tmp_path: Path, plot: Path) -> None:
    page = write_page(_page(True, plot), tmp_path / "page.html").read_text()
    assert "<img src=x" not in page and page.count("&lt;img src=x") >= 12
    assert "\u202e" not in page, "a direction character would rearrange the line"
    assert "1 of 3 shown" in page and "data:image/webp" in page and "data:image/png" in page


def test_a_full_page_says_so(tmp_path: Path, plot: Path) -> None:
    page = write_page(_page(False, plot), tmp_path / "page.html").read_text()
    assert "the page is full" in page and "data:image/webp" not in page


def test_a_page_that_has_no_place_is_an_error(tmp_path: Path, plot: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(_page(False, plot), tmp_path / "absent" / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_told_is_a_dash_and_null(tmp_path: Path) -> None:
    assert [figure(v) for v in (None, float("nan"), 0.12345, 1234)] == ["–", "–", "0.123", "1,234"]
    write_json(tmp_path / "a.json", {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": None}})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": None, "b": [None, 1.5], "c": {"d": None},
    }  # fmt: skip

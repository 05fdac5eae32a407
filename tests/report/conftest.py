"""A page of six images, opened in Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from chromium import Chromium, Tab, find_chromium
from six_images import six_images

from jeans_udf.report.page import write_page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium to open the page in: install it, or set CHROMIUM to one")
    with Chromium(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_page(six_images(), tmp_path_factory.mktemp("page") / "page.html").as_uri()


@pytest.fixture
def tab(browser: Chromium, address: str) -> Iterator[Tab]:
    """The page, opened; it must have asked for nothing else and have nothing to complain of."""
    tab = Tab(browser)
    tab.open(address)
    yield tab
    assert tab.complaints == []
    assert tab.requests == set()
    tab.close()

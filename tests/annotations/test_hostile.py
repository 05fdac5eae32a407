"""Whatever JSON comes: a fault, or one sentence; never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own import VOCABULARY, coco, labelme, save_photos, via_region

from jeans_udf.annotations.checked import check_listings
from jeans_udf.annotations.faults import FAULTS, FaultLog
from jeans_udf.annotations.formats import read_source
from jeans_udf.annotations.importing import Request, import_annotations
from jeans_udf.annotations.listed import Names, Source
from jeans_udf.annotations.overview import write_overview
from jeans_udf.annotations.writing import write_dataset
from jeans_udf.errors import ConfigError
from jeans_udf.vocabulary import load_vocabulary

NAMES = Names(load_vocabulary(VOCABULARY).categories)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(-3, 70), st.integers(),
    st.sampled_from([10**400, 10**9, "p1.png", "../p1.png", "jeans", "polygon", "rectangle",
                     "", "\ud800", "\0", "0o", "circle"]),
    st.text(max_size=5),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5)
    | st.dictionaries(
        st.sampled_from(["id", "name", "points", "regions", "counts", "size", "x"]), inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


def _via() -> dict[str, Any]:
    shapes = [{"name": "polygon", "all_points_x": [1, 30, 9], "all_points_y": [1, 5, 30]},
              {"name": "ellipse", "cx": 20, "cy": 20, "rx": 9, "ry": 5, "theta": 1},
              {"name": "rect", "x": 1, "y": 1, "width": 9, "height": 9}]  # fmt: skip
    return {f"p{n}.png": {"filename": f"p{n}.png", "size": 9, "regions": [
        via_region(shape, type="jeans", wash={"dark": True}) for shape in shapes]}
        for n in (1, 2)}  # fmt: skip


def _labelme() -> dict[str, Any]:
    shapes = [{"label": "jeans", "points": [[1, 1], [30, 5], [9, 30]], "shape_type": "polygon",
               "flags": {"dark": True}, "group_id": 1},
              {"label": "jeans", "points": [[1, 1], [30, 5]], "shape_type": "rectangle",
               "group_id": 1}]  # fmt: skip
    return labelme("p1.png", shapes)


def _rle() -> dict[str, Any]:
    data = coco(2)
    data["annotations"][0]["segmentation"] = {"size": [40, 60], "counts": [300, 500, 1600]}
    data["annotations"][1]["attributes"] = {"wash": "dark", "details": ["faded"]}
    return data


GOOD = {"coco": _rle, "via": _via, "labelme": _labelme}


def _spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to every value within."""
    inner = value.items() if isinstance(value, dict) else (
        enumerate(value) if isinstance(value, list) else ())  # fmt: skip
    return [path, *(spot for key, one in inner for spot in _spots(one, (*path, key)))]


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = _replaced(value[path[0]], path[1:], new)
    return copy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_photos(tmp_path_factory.mktemp("hostile") / "photos").parent


@pytest.mark.parametrize("format", list(GOOD))
def test_the_pattern_that_is_spoilt_is_good(folder: Path, format: str) -> None:
    log = FaultLog()
    assert _annotations(folder, GOOD[format](), log) > 0 and not log.faults


@pytest.mark.parametrize("format", list(GOOD))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_value_anywhere_is_a_fault_or_one_sentence(folder: Path, format: str, data) -> None:
    good = GOOD[format]()
    for _ in range(data.draw(st.integers(1, 3))):
        spots = _spots(good)
        spot = spots[data.draw(st.integers(0, len(spots) - 1))]
        good = _replaced(good, spot, data.draw(VALUES))
    log = FaultLog()
    try:
        _annotations(folder, good, log)
    except ConfigError as error:
        assert "\n" not in str(error)
    for fault in log.faults:
        assert fault.code in FAULTS and str(fault).isprintable()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_written_after_dropping_is_sound(folder: Path, data) -> None:
    good = _rle()
    spots = [spot for spot in _spots(good) if len(spot) > 1]
    good = _replaced(good, data.draw(st.sampled_from(spots)), data.draw(VALUES))
    file = folder / "dropped.json"
    file.write_text(json.dumps(good))
    log = FaultLog()
    request = Request([Source(file, folder / "photos")], NAMES, drop_faulty=True)
    try:
        imported = import_annotations(request, log)
    except ConfigError:
        return
    assert imported is not None
    write_dataset(folder, imported, request, log)
    write_overview(folder / "overview.png", imported.photos, NAMES.categories)


def _annotations(folder: Path, data: Any, log: FaultLog) -> int:
    """How many annotations of the file are sound."""
    file = folder / "hostile.json"
    file.write_text(json.dumps(data))
    listing = read_source(Source(file, folder / "photos"), NAMES, log)
    checked = check_listings([listing], log)
    return sum(len(photo.garments) for photo in checked.sound)

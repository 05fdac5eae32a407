"""The population stability index, by hand."""

from __future__ import annotations

import math

import pytest
from stub_tagger import VOCABULARY

from jeans_udf.drift import drift_by_group, stability_index


def test_the_index_by_hand() -> None:
    # Smoothed shares: 60.5 of 101 and 40.5 of 101 now, the other way round before.
    p, q = 60.5 / 101, 40.5 / 101
    wanted = (p - q) * math.log(p / q) + (q - p) * math.log(q / p)
    assert stability_index({"a": 60, "b": 40}, {"a": 40, "b": 60}) == pytest.approx(wanted)
    assert stability_index({"a": 3, "b": 3}, {"a": 30, "b": 30}) == pytest.approx(0.0)
    assert stability_index({}, {"a": 3}) == 0.0


def test_a_label_never_seen_before_is_a_finite_shift() -> None:
    index = stability_index({"a": 90, "new": 10}, {"a": 100})
    assert 0.2 < index < 0.5


def test_groups_are_judged_by_their_own_counts() -> None:
    before = {"category.jeans": 100, "wash.dark": 50, "wash.light": 40, "wash.": 10,
              "details.cuffed": 50}  # fmt: skip
    same = drift_by_group({key: 2 * n for key, n in before.items()}, before, VOCABULARY)
    assert same == pytest.approx({"category": 0.0, "wash": 0.0, "details": 0.0}, abs=2e-3)
    now = before | {"wash.dark": 90, "wash.light": 0, "details.cuffed": 5, "details.raw_hem": 2}
    moved = drift_by_group(now, before, VOCABULARY)
    assert moved["category"] == pytest.approx(0.0, abs=1e-9)
    assert moved["wash"] > 0.5 and moved["details"] > 0.5

from __future__ import annotations

import numpy as np
import pytest

from jeans_udf.evaluation.label_thresholds import fit_thresholds
from jeans_udf.evaluation.labels import decisions
from jeans_udf.vocabulary import Vocabulary, load_vocabulary, parse_vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return parse_vocabulary(
        {
            "categories": ["jeans"],
            "groups": {
                "wash": {"exclusive": True, "labels": ["light", "dark"]},
                "details": {"exclusive": False, "labels": ["cuffed"]},
            },
        },
        "test",
    )


def test_thresholds_find_the_gap_and_little_support_pulls_to_the_middle(
    vocabulary: Vocabulary,
) -> None:
    many = 40
    truth = np.zeros((2 * many, 3), dtype=bool)
    truth[:many, 2] = truth[:many, 0] = truth[many:, 1] = True
    scores = np.where(truth, 0.25, 0.05).astype(float)
    scores[:, :2] = np.where(truth[:, :2], 0.9, 0.1)
    fitted = fit_thresholds(scores, truth, vocabulary)
    assert 0.05 < fitted["cuffed"] <= 0.25
    chosen = decisions(scores, ["jeans"] * len(scores), vocabulary, fitted)
    assert (chosen == truth).all()
    few = fit_thresholds(scores[many - 2 :], truth[many - 2 :], vocabulary)
    assert few["cuffed"] == pytest.approx(0.1 * 0.1 + 0.9 * 0.5)


def _washes(*rows: tuple[int, float, int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and truth of garments: ``(answer, its score, true wash)``, 0 light and 1 dark."""
    scores, truth = np.zeros((len(rows), 3)), np.zeros((len(rows), 3), dtype=bool)
    for row, (answer, score, wanted) in enumerate(rows):
        scores[row, answer] = score
        truth[row, wanted] = True
    return scores, truth


# Light is right from 0.8 on and wrong at 0.62; dark is right whenever it is answered.
MIXED = _washes(*[(0, 0.8, 0)] * 20, *[(0, 0.62, 1)] * 10, *[(1, 0.55, 1)] * 10)


def test_a_label_of_an_exclusive_group_has_its_own_threshold(vocabulary: Vocabulary) -> None:
    # Of light F1 is 40 / (20 + 30) up to 0.6 and 1 from 0.65 on; of the group 0.75, at most 0.67.
    fitted = fit_thresholds(*MIXED, vocabulary, most_abstained=1.0)
    assert fitted == {"wash": 0.1, "light": 0.65, "dark": 0.1, "cuffed": 0.5}


def test_a_label_of_little_support_is_drawn_to_its_group(vocabulary: Vocabulary) -> None:
    # The group is best from 0.65 on, at 40 / (35 + 20); dark, of five garments, at 0.1.
    drawn = _washes(*[(0, 0.8, 0)] * 20, *[(1, 0.62, 0)] * 10, *[(1, 0.3, 1)] * 5)
    fitted = fit_thresholds(*drawn, vocabulary, most_abstained=1.0)
    assert fitted["wash"] == 0.65 and fitted["light"] == 0.1
    assert fitted["dark"] == pytest.approx(0.25 * 0.1 + 0.75 * 0.65, abs=0.001)


def test_a_group_abstains_no_more_than_allowed(vocabulary: Vocabulary) -> None:
    # At 0.65 the ten of 40 at 0.62 are left out.
    assert fit_thresholds(*MIXED, vocabulary, most_abstained=0.25)["light"] == 0.65
    lowered = fit_thresholds(*MIXED, vocabulary, most_abstained=0.24)
    assert lowered == {"wash": 0.07, "light": 0.62, "dark": 0.07, "cuffed": 0.5}
    assert fit_thresholds(*MIXED, vocabulary) == lowered, "8 % unless told"


def test_thresholds_are_lowered_to_nought_and_no_further(vocabulary: Vocabulary) -> None:
    fitted = fit_thresholds(*_washes((0, 0.0, 0), (0, 0.9, 0)), vocabulary, most_abstained=0.0)
    assert fitted == {"wash": 0.0, "light": 0.0, "dark": 0.0, "cuffed": 0.5}
    # Light is there long before dark is at 0.3, which begins at 0.65.
    surer = _washes(*[(1, 0.8, 1)] * 20, *[(1, 0.62, 0)] * 10, (1, 0.3, 1), *[(0, 0.0, 0)] * 10)
    fitted = fit_thresholds(*surer, vocabulary, most_abstained=0.0)
    assert fitted == {"wash": 0.3, "light": 0.0, "dark": 0.3, "cuffed": 0.5}


def test_an_unknown_wash_neither_counts_nor_abstains(vocabulary: Vocabulary) -> None:
    scores, truth = MIXED
    more = np.concatenate([scores, np.full((100, 3), 0.05)])
    unknown = np.concatenate([truth, np.zeros((100, 3), dtype=bool)])
    for most in (0.24, 0.25):
        assert fit_thresholds(more, unknown, vocabulary, most) == fit_thresholds(
            scores, truth, vocabulary, most
        )


@pytest.mark.parametrize("rows", [[], [(0, 0.5, 0)], [(1, 0.05, 0)]])
def test_no_row_and_one_give_thresholds(vocabulary: Vocabulary, rows: list) -> None:
    fitted = fit_thresholds(*_washes(*rows), vocabulary)
    assert list(fitted) == ["wash", "light", "dark", "cuffed"]
    assert all(0 <= value <= 0.9 for value in fitted.values())


def test_every_label_of_the_shipped_vocabulary_has_a_threshold() -> None:
    shipped = load_vocabulary("conf/vocabulary.yaml")
    count = len(shipped.labels)
    fitted = fit_thresholds(np.eye(count), np.eye(count, dtype=bool), shipped)
    assert set(fitted) == {*shipped.labels, "wash", "fit", "length"}

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
                "length": {"exclusive": True, "labels": ["full", "cropped"]},
                "details": {"exclusive": False, "labels": ["cuffed", "cargo"]},
            },
        },
        "test",
    )


def _lengths(*rows: tuple[float, float, int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores and truth of garments: score of full, of cropped, and which is true (0 or 1)."""
    scores, truth = np.zeros((len(rows), 4)), np.zeros((len(rows), 4), dtype=bool)
    for row, (full, cropped, wanted) in enumerate(rows):
        scores[row, :2] = full, cropped
        truth[row, wanted] = True
    return scores, truth


def _details(cuffed: list[tuple[float, bool]], cargo: list[tuple[float, bool]]) -> tuple:
    count = max(len(cuffed), len(cargo))
    scores, truth = np.zeros((count, 4)), np.zeros((count, 4), dtype=bool)
    for column, values in ((2, cuffed), (3, cargo)):
        for row, (score, wanted) in enumerate(values):
            scores[row, column], truth[row, column] = score, wanted
    return scores, truth


def _said(rows: tuple[np.ndarray, np.ndarray], vocabulary: Vocabulary, **options) -> np.ndarray:
    scores, truth = rows
    fitted = fit_thresholds(scores, truth, vocabulary, **options)
    return decisions(scores, ["jeans"] * len(scores), vocabulary, fitted)


def test_a_threshold_lies_in_the_middle_of_the_gap(vocabulary: Vocabulary) -> None:
    fitted = fit_thresholds(
        *_details([(0.7, True)] * 30 + [(0.3, False)] * 30, [(0.7, True)] * 30), vocabulary
    )
    # 0.35, 0.4 … 0.7 part them equally well.
    assert fitted["cuffed"] == pytest.approx(0.55)


def test_little_support_is_drawn_to_what_is_best_for_all_details(vocabulary: Vocabulary) -> None:
    many = [(0.8, True)] * 30 + [(0.6, False)] * 30
    fitted = fit_thresholds(*_details(many, [(0.2, True)] * 5), vocabulary)
    # For cuffed 0.65 … 0.8 are best, for cargo, of five garments, 0.1 … 0.2; of both together, 30
    # of 35 at 0.65 … 0.8: 60 / 65 is more than 70 / 100.
    assert fitted["cuffed"] == pytest.approx(0.75)
    assert fitted["cargo"] == pytest.approx(0.15**0.25 * 0.75**0.75, abs=0.001)


def test_a_rare_label_is_answered_beside_a_frequent_one(vocabulary: Vocabulary) -> None:
    """The network always finds full likelier, but less so where cropped is true."""
    rows = _lengths(*[(0.9, 0.1, 0)] * 60, *[(0.6, 0.4, 1)] * 20)
    fitted = fit_thresholds(*rows, vocabulary)
    assert fitted["cropped"] < fitted["full"]
    assert (_said(rows, vocabulary) == rows[1]).all()
    # One common threshold would never answer cropped.
    level = fitted | {"full": fitted["length"], "cropped": fitted["length"]}
    assert not decisions(rows[0], ["jeans"] * 80, vocabulary, level)[:, 1].any()


def test_a_label_of_two_garments_hardly_moves(vocabulary: Vocabulary) -> None:
    fitted = fit_thresholds(*_lengths(*[(0.9, 0.1, 0)] * 60, *[(0.6, 0.4, 1)] * 2), vocabulary)
    assert fitted["cropped"] / fitted["length"] > 0.85


def test_a_gain_by_chance_is_not_taken(vocabulary: Vocabulary) -> None:
    """One garment of three hundred is no reason to part the thresholds."""
    rows = _lengths(*[(0.9, 0.1, 0)] * 150, *[(0.1, 0.9, 1)] * 149, (0.6, 0.4, 1))
    fitted = fit_thresholds(*rows, vocabulary)
    assert fitted["full"] == fitted["cropped"] == fitted["length"]


UNSURE = _lengths(*[(0.8, 0.0, 0)] * 30, *[(0.42, 0.0, 1)] * 20)
"""What is below 0.45 is always wrong: best not answered at all."""


def test_a_group_abstains_where_that_is_best_and_no_more_than_allowed(
    vocabulary: Vocabulary,
) -> None:
    assert _said(UNSURE, vocabulary, most_abstained=1.0)[:, :2].sum() == 30
    for most, answered in ((0.4, 30), (0.39, 50), (0.08, 50)):
        assert _said(UNSURE, vocabulary, most_abstained=most)[:, :2].sum() == answered, most


def test_lowering_keeps_the_answers(vocabulary: Vocabulary) -> None:
    rows = _lengths(*[(0.9, 0.1, 0)] * 60, *[(0.6, 0.4, 1)] * 20, *[(0.3, 0.0, 1)] * 20)
    free = _said(rows, vocabulary, most_abstained=1.0)
    bound = _said(rows, vocabulary, most_abstained=0.0)
    answered = free[:, :2].any(1)
    assert not answered.all() and bound[:, :2].any(1).all()
    assert (free[answered] == bound[answered]).all()


def test_an_unknown_length_neither_counts_nor_abstains(vocabulary: Vocabulary) -> None:
    scores, truth = UNSURE
    more = np.concatenate([scores, np.full((100, 4), 0.05)])
    unknown = np.concatenate([truth, np.zeros((100, 4), dtype=bool)])
    for most in (0.39, 0.4):
        alone = fit_thresholds(scores, truth, vocabulary, most)
        beside = fit_thresholds(more, unknown, vocabulary, most)
        assert [beside[k] for k in ("length", "full", "cropped")] == [
            alone[k] for k in ("length", "full", "cropped")
        ]


@pytest.mark.parametrize("rows", [[], [(0.5, 0.0, 0)], [(0.0, 0.05, 0)], [(0.0, 0.0, 0)] * 3])
def test_no_row_and_few_give_thresholds(vocabulary: Vocabulary, rows: list) -> None:
    fitted = fit_thresholds(*_lengths(*rows), vocabulary)
    assert list(fitted) == ["length", "full", "cropped", "cuffed", "cargo"]
    assert all(0 <= value <= 0.9 for value in fitted.values())


def test_every_label_of_the_shipped_vocabulary_has_a_threshold() -> None:
    shipped = load_vocabulary("conf/vocabulary.yaml")
    count = len(shipped.labels)
    fitted = fit_thresholds(np.eye(count), np.eye(count, dtype=bool), shipped)
    assert set(fitted) == {*shipped.labels, "wash", "fit", "length"}

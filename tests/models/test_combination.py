from __future__ import annotations

import warnings

import numpy as np
import pytest

from jeans_udf.models.combination import LEAST, Combination

EQUAL = Combination(detector=1.0, classifier=1.0, none_bias=0.0)
SCORES = np.array([[0.6, 0.2]], dtype=np.float32)
VERDICTS = np.array([[0.25, 0.5, 0.25]], dtype=np.float32)


def test_both_models_count_by_hand() -> None:
    """The detector says 0.2, 0.6, 0.2: products 0.05, 0.3, 0.05 of a sum of 0.4."""
    np.testing.assert_allclose(
        EQUAL.chances(SCORES, VERDICTS), [[0.125, 0.75, 0.125]], atol=1e-6
    )
    best, chance = EQUAL.decide(SCORES, VERDICTS)
    assert best.tolist() == [0] and best.dtype == np.int64
    assert chance.tolist() == pytest.approx([0.75])


def test_a_weight_is_an_exponent_and_the_bias_multiplies_the_odds_of_none() -> None:
    """0.2² x 1, 0.6² x 1, 0.2² x 1 with a threefold none: 0.12, 0.36, 0.04 of 0.52."""
    squared = Combination(detector=2.0, classifier=0.0, none_bias=float(np.log(3)))
    np.testing.assert_allclose(
        squared.chances(SCORES, VERDICTS), [[12 / 52, 36 / 52, 4 / 52]], atol=1e-6
    )


def test_a_model_without_weight_has_no_say() -> None:
    detector = Combination(detector=1.0, classifier=0.0, none_bias=0.0)
    np.testing.assert_allclose(detector.chances(SCORES, VERDICTS), [[0.2, 0.6, 0.2]], atol=1e-6)
    classifier = Combination(detector=0.0, classifier=1.0, none_bias=0.0)
    np.testing.assert_allclose(classifier.chances(SCORES, VERDICTS), VERDICTS, atol=1e-6)


def test_the_classifier_can_change_the_category() -> None:
    best, chance = EQUAL.decide(
        np.array([[0.5, 0.4]], dtype=np.float32), np.array([[0.1, 0.1, 0.8]], dtype=np.float32)
    )
    # 0.1 x 0.1, 0.5 x 0.1, 0.4 x 0.8 of 0.38
    assert best.tolist() == [1] and chance.tolist() == pytest.approx([0.32 / 0.38])


def test_what_is_impossible_counts_as_the_least_chance() -> None:
    """The detector is sure of the first, the classifier of the second: neither can be certain."""
    chances = EQUAL.chances(np.array([[1.0, 0.0]]), np.array([[0.0, 0.0, 1.0]]))
    np.testing.assert_allclose(
        chances, np.array([[LEAST**2, LEAST, LEAST]]) / (2 * LEAST + LEAST**2), rtol=1e-9
    )


@pytest.mark.parametrize("weights", [(1, 1, 0), (4, 4, 6), (4, 4, -6), (0, 0, 0), (0.3, 2, -700)])
def test_scores_stay_scores_whatever_is_said(weights: tuple[float, ...]) -> None:
    corners = np.array(
        [[0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5], [1e-30, 1], [1 - 1e-7, 1e-7]], np.float32
    )
    verdicts = np.array(
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [1e-38, 1, 0], [1 / 3] * 3], np.float32
    )
    scores = np.repeat(corners, len(verdicts), axis=0)
    said = np.tile(verdicts, (len(corners), 1))
    combination = Combination(*weights)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chances = combination.chances(scores, said)
        best, chance = combination.decide(scores, said)
    assert np.isfinite(chances).all()
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-12)
    assert (0 <= chance).all() and (chance <= 1).all()
    assert set(best.tolist()) <= {0, 1}


def test_scores_that_are_no_softmax_leave_nothing_for_the_background() -> None:
    """A RetinaNet's sigmoids may sum to more than 1."""
    detector = Combination(detector=1.0, classifier=0.0, none_bias=0.0)
    chances = detector.chances(np.array([[0.9, 0.9]]), np.full((1, 3), 1 / 3))
    np.testing.assert_allclose(chances, [[0, 0.5, 0.5]], atol=1e-4)


def test_neighbours_do_not_change_a_row() -> None:
    rng = np.random.default_rng(0)
    scores, verdicts = rng.dirichlet(np.ones(3), 9)[:, 1:], rng.dirichlet(np.ones(3), 9)
    together = EQUAL.chances(scores, verdicts)
    for row in range(9):
        alone = EQUAL.chances(scores[row : row + 1], verdicts[row : row + 1])
        np.testing.assert_array_equal(alone[0], together[row])


def test_no_rows_and_one_category() -> None:
    best, chance = EQUAL.decide(np.zeros((0, 2)), np.zeros((0, 3)))
    assert best.shape == chance.shape == (0,)
    best, chance = EQUAL.decide(np.array([[0.8]]), np.array([[0.5, 0.5]]))
    assert best.tolist() == [0] and chance.tolist() == pytest.approx([0.8])

"""Nearest vectors, against a sort of all cosines."""

from __future__ import annotations

import numpy as np
import pytest

from jeans_udf.embedding.nearest import best_of, best_of_block, unit

K = 4


@pytest.fixture
def vectors() -> np.ndarray:
    chance = np.random.default_rng(3)
    found = chance.normal(size=(3000, 16)).astype(np.float32)
    found[7] = found[2000]  # the same text's twin, far away in the order
    return unit(found)


def sorted_all(vectors: np.ndarray, number: int) -> list[int]:
    cosines = np.round(vectors.astype(np.float64) @ vectors[number].astype(np.float64), 6)
    order = sorted(range(len(vectors)), key=lambda other: (-cosines[other], other))
    return [other for other in order if other != number][:K]


def test_blocks_find_what_a_sort_finds(vectors: np.ndarray) -> None:
    numbers = np.arange(len(vectors))
    parts = [slice(0, 1100), slice(1100, 1103), slice(1103, 3000)]
    found = [best_of_block(vectors, numbers, vectors[part], numbers[part], K) for part in parts]
    sides = (np.concatenate(side, axis=1) for side in zip(*found, strict=True))
    merged, cosines = best_of(*sides, K)
    for number in (0, 7, 1100, 2000, 2999):
        assert list(merged[number]) == sorted_all(vectors, number)
    assert merged[7][0] == 2000 and cosines[7][0] == pytest.approx(1, abs=1e-6)
    assert (np.diff(cosines, axis=1) <= 0).all()


@pytest.mark.parametrize("twins", [12, 400, 1500])
def test_more_equal_vectors_than_spare_places(vectors: np.ndarray, twins: int) -> None:
    chance = np.random.default_rng(twins)
    places = chance.permutation(len(vectors))[:twins]
    vectors[places] = vectors[5]
    # As an encoder leaves them: texts of one batch or another differ in their last bits.
    vectors[places[::2]] += chance.normal(size=(len(places[::2]), 16)).astype(np.float32) * 1e-8
    numbers = np.arange(len(vectors))
    cuts = [[], [1100], [37, 1024, 1025, 2048], list(range(100, 3000, 100))]
    answers = [blockwise(vectors, numbers, cut) for cut in cuts]
    smallest = np.union1d(places, 5)
    for merged, cosines in answers:
        for number in (*places[:3], 5):
            assert list(merged[number]) == [one for one in smallest if one != number][:K]
        for number in np.setdiff1d(numbers, smallest)[::500]:
            assert list(merged[number]) == sorted_all(vectors, number)
        assert (merged == answers[0][0]).all() and (cosines == answers[0][1]).all()


def blockwise(
    vectors: np.ndarray, numbers: np.ndarray, cut: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours by blocks that end at ``cut``, of queries as well as of candidates."""
    parts = np.split(numbers, cut)
    answers = []
    for own in parts:
        found = [best_of_block(vectors[own], own, vectors[part], part, K) for part in parts]
        answers.append(best_of(*(np.concatenate(side, axis=1)
                                 for side in zip(*found, strict=True)), K))  # fmt: skip
    merged, cosines = zip(*answers, strict=True)
    return np.concatenate(merged), np.concatenate(cosines)


def test_nobody_is_a_neighbour_of_itself(vectors: np.ndarray) -> None:
    found, cosines = best_of_block(vectors[:2], np.arange(2), vectors[:2], np.arange(2), K)
    assert found[0][0] == 1 and found[1][0] == 0
    assert (cosines[:, 1] == -2).all()


def test_a_vector_of_zeros_stays_one() -> None:
    assert (unit(np.zeros((2, 3))) == 0).all()
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0]])), [[0.6, 0.8]])

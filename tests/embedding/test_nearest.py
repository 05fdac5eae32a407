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


def test_nobody_is_a_neighbour_of_itself(vectors: np.ndarray) -> None:
    found, cosines = best_of_block(vectors[:2], np.arange(2), vectors[:2], np.arange(2), K)
    assert found[0][0] == 1 and found[1][0] == 0
    assert (cosines[:, 1] == -2).all()


def test_a_vector_of_zeros_stays_one() -> None:
    assert (unit(np.zeros((2, 3))) == 0).all()
    np.testing.assert_allclose(unit(np.array([[3.0, 4.0]])), [[0.6, 0.8]])

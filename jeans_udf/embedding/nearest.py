"""Nearest vectors by cosine: blocks of all pairs, or an approximate index; numpy, no Spark.

Vectors are (N, size) float32 of length 1. Of equal cosines the smaller number goes first, so that
the same vectors always give the same neighbours, however they are cut into blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS = 1024
"""Rows of one product of matrices: with a block of 8192 columns 32 MB."""
SPARE = 4
"""Further candidates that a block keeps, so that equal cosines at its edge are told apart."""


def unit(vectors: np.ndarray) -> np.ndarray:
    """``vectors (N, size)`` as float32 of length 1; a vector of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def best_of_block(
    queries: np.ndarray, query_numbers: np.ndarray, block: np.ndarray, numbers: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` best of ``block (M, size)`` for each query: their numbers and cosines, (N, <= k).

    A query is no neighbour of itself: pairs of equal numbers are left out, as cosine -2.
    """
    found_numbers, found_cosines = [], []
    for start in range(0, len(queries), ROWS):
        cosines = queries[start : start + ROWS] @ block.T
        cosines[query_numbers[start : start + ROWS, None] == numbers[None]] = -2
        best = min(k + SPARE, cosines.shape[1])
        places = np.argpartition(-cosines, best - 1, axis=1)[:, :best]
        kept = np.take_along_axis(cosines, places, 1)
        merged = best_of(numbers[places], kept, k)
        found_numbers.append(merged[0])
        found_cosines.append(merged[1])
    return np.concatenate(found_numbers), np.concatenate(found_cosines)


def best_of(numbers: np.ndarray, cosines: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` best candidates of each row, best first; (N, candidates) in, (N, <= k) out."""
    # Rounded as the table's readers see it: the last bits depend on how a product was cut.
    cosines = np.round(cosines.astype(np.float64), 6)
    order = np.lexsort((numbers, -cosines), axis=1)[:, :k]
    return np.take_along_axis(numbers, order, 1), np.take_along_axis(cosines, order, 1)


class Index:
    """A graph of small worlds (HNSW, Malkov and Yashunin, 2018) by faiss, for `search`."""

    graph: Any = None
    """faiss's index; None before the first vectors."""

    def add(self, vectors: np.ndarray) -> None:
        """The next ``vectors (N, size)``, numbered on from those before."""
        if self.graph is None:
            import faiss

            self.graph = faiss.IndexHNSWFlat(vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
            self.graph.hnsw.efConstruction = 200
            self.graph.hnsw.efSearch = 128
        self.graph.add(vectors)


def search(
    index: Any, queries: np.ndarray, query_numbers: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """As `best_of_block`, of an index whose vectors are numbered from 0."""
    cosines, numbers = index.search(queries, k + 1 + SPARE)
    cosines[(numbers == query_numbers[:, None]) | (numbers < 0)] = -2
    return best_of(numbers, cosines, k)

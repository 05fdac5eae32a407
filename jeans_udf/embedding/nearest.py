"""Nearest vectors by cosine: blocks of all pairs, or an approximate index; numpy, no Spark.

Vectors are (N, size) float32 of length 1. Of equal cosines the smaller number goes first, so that
blocks of the same vectors always give the same neighbours, however they are cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROWS = 1024
"""Rows of one product of matrices: with a block of 8192 columns 32 MB."""
SPARE = 4
"""Further candidates that a search keeps, so that equal cosines at its edge are told apart."""
EDGE = 4e-6
"""Cosines of float32 this near may be equal after rounding to 6 digits: 1e-6, and their errors."""


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
    found = []
    best = min(k + SPARE, len(block))
    for start in range(0, len(queries), ROWS):
        some, own = queries[start : start + ROWS], query_numbers[start : start + ROWS, None]
        cosines = some @ block.T
        cosines[own == numbers] = -2
        places = np.argpartition(-cosines, best - 1, axis=1)[:, :best]
        exact = _exact(some, block, places)
        exact[own == numbers[places]] = -2
        merged = best_of(numbers[places], exact, k)
        if best < len(block):
            kept = np.take_along_axis(cosines, places, 1)
            kth = np.partition(kept, best - k, axis=1)[:, best - k]
            # More candidates may equal the kth than there are spare places, as of texts that
            # differ only in case: all of the block are looked at, in few rows as a rule.
            crowded = kept.min(1) > kth - EDGE
            if crowded.any():
                whole = some[crowded].astype(np.float64) @ block.T.astype(np.float64)
                whole[own[crowded] == numbers] = -2
                everybody = np.broadcast_to(numbers, whole.shape)
                for side, better in zip(merged, best_of(everybody, whole, k), strict=True):
                    side[crowded] = better
        found.append(merged)
    all_numbers, all_cosines = zip(*found, strict=True)
    return np.concatenate(all_numbers), np.concatenate(all_cosines)


def _exact(queries: np.ndarray, block: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Cosines (N, places) float64: those of float32 depend on how a product of matrices was cut,
    in their last bits, and thus at times in the sixth digit."""
    columns = [
        np.einsum("nd,nd->n", queries, block[column], dtype=np.float64) for column in places.T
    ]
    return np.stack(columns, axis=1)


def best_of(numbers: np.ndarray, cosines: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` best candidates of each row, best first; (N, candidates) in, (N, <= k) out."""
    # Rounded as the table's readers see it: vectors of one text differ in their last bits.
    cosines = np.round(cosines.astype(np.float64), 6)
    order = np.lexsort((numbers, -cosines), axis=1)[:, :k]
    return np.take_along_axis(numbers, order, 1), np.take_along_axis(cosines, order, 1)


class Index:
    """A graph of small worlds (HNSW, Malkov and Yashunin, 2018) by faiss, for `search`.

    Approximate: it may miss neighbours, and which of equal ones it finds depends on the order that
    vectors came in.
    """

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

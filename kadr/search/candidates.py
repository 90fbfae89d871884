"""Candidates of a query: the images whose vectors are nearest to the query vector."""

from collections.abc import Callable

import numpy as np

from kadr.errors import SearchError
from kadr.index import Index
from kadr.io.embeddings import Rows, Vectors
from kadr.search.query import Query, Term
from kadr.search.results import Cosines

EmbedTerm = Callable[[Term], tuple[Vectors, int | None]]
"""Returns the vector (1, d) of a term, and the row of its image if the index contains it."""


class Candidates:
    """The nearest images of a query that pass its filters. Images that occur in the query are left out.

    Args:
        index: index to search.
        query: the query.
        vector: (1, d) float32, the query vector.
        query_rows: rows of the images that occur in the query.
        n: number of candidates.
        allowed: rows that pass the filters, None for all rows.

    Attributes:
        rows: rows of the candidates, nearest first.
        cosines: cosines of the candidates.
        exhausted: whether the index contains no further candidates.
    """

    rows: Rows
    cosines: Cosines
    exhausted: bool

    def __init__(
        self, index: Index, query: Query, vector: Vectors, query_rows: list[int], n: int, *, allowed: Rows | None
    ) -> None:
        self.query = query
        self._index, self._allowed, self._vector, self._query_rows, self._n = index, allowed, vector, query_rows, n
        self._find()

    def double(self) -> None:
        """Double the number of candidates."""
        self._n *= 2
        self._find()

    def _find(self) -> None:
        k = self._n + len(self._query_rows)
        rows, cosines = self._index.nearest(self._vector, k, self._allowed)
        others = ~np.isin(rows, self._query_rows)
        self.rows, self.cosines, self.exhausted = rows[others], cosines[others], len(rows) < k


def query_vector(query: Query, embed_term: EmbedTerm) -> tuple[Vectors, list[int]]:
    """Return the weighted sum of the unit vectors of the terms, scaled to unit norm.

    Returns:
        The vector (1, d) float32, and the rows of the images that occur in the query.

    Raises:
        SearchError: the sum is zero.
    """
    terms = [(term.weight, *embed_term(term)) for term in query.terms]
    total = np.sum([np.float32(weight) * vector for weight, vector, _ in terms], axis=0)
    length = np.linalg.norm(total)
    if length < 1e-4 * max(abs(weight) for weight, _, _ in terms):
        raise SearchError("The terms of the query cancel out. Subtract another term, or change the weights.")
    return np.asarray(total / length, dtype=np.float32), [row for _, _, row in terms if row is not None]

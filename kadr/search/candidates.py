"""Candidates of a query: the images whose vectors are nearest to the query vector."""

from collections.abc import Callable

import numpy as np

from kadr.errors import SearchError
from kadr.index import Index
from kadr.io.embeddings import Rows, Vectors
from kadr.search.query import Query, Term
from kadr.search.results import Cosines

EmbedTerm = Callable[[Term], tuple[Vectors, int | None]]
"""Function that returns the vector (1, d) of a term. For an image in the index, it also returns the row number."""


class Candidates:
    """The images nearest to a query, among the images that pass its filters. Images used in the query are excluded.

    Args:
        index: index to search.
        query: query with terms and filters.
        vector: (1, d) float32 query vector.
        query_rows: row numbers of the images used in the query.
        n: number of candidates to find.
        allowed: row numbers of the images that pass the filters. None allows all images.

    Attributes:
        rows: (m,) row numbers of the candidates, nearest first.
        cosines: (m,) cosines of the candidates and the query vector.
        exhausted: whether the index contains no more candidates.
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
        """Search again for twice as many candidates."""
        self._n *= 2
        self._find()

    def _find(self) -> None:
        k = self._n + len(self._query_rows)
        rows, cosines = self._index.nearest(self._vector, k, self._allowed)
        is_candidate = ~np.isin(rows, self._query_rows)
        self.rows, self.cosines, self.exhausted = rows[is_candidate], cosines[is_candidate], len(rows) < k


def query_vector(query: Query, embed_term: EmbedTerm) -> tuple[Vectors, list[int]]:
    """Compute the query vector: the weighted sum of the vectors of the terms, scaled to unit norm.

    Returns:
        The query vector (1, d) float32, and the row numbers of the images used in the query.

    Raises:
        SearchError: the sum is close to zero.
    """
    terms = [(term.weight, *embed_term(term)) for term in query.terms]
    total = np.sum([np.float32(weight) * vector for weight, vector, _ in terms], axis=0)
    length = np.linalg.norm(total)
    if length < 1e-4 * max(abs(weight) for weight, _, _ in terms):
        raise SearchError(
            "The terms of the query cancel out, so nothing is left to search for. Change a term or its weight."
        )
    return np.asarray(total / length, dtype=np.float32), [row for _, _, row in terms if row is not None]

"""The search's first step: a query's vector, and the photos nearest to it among those that its filters let pass."""

from collections.abc import Callable

import numpy as np

from kadr.errors import SearchError
from kadr.index import Index
from kadr.io.embeddings import Rows, Vectors
from kadr.search.query import Query, Term
from kadr.search.results import Cosines

VectorOf = Callable[[Term], tuple[Vectors, int | None]]


class Candidates:
    """The photos nearest to a query, as many as are asked for.

    Attributes:
        query: what is asked.
        rows: of the index's photos, nearest first; not those that the query itself names.
        cosines: of them.
        all: whether there are no more.
    """

    rows: Rows
    cosines: Cosines
    all: bool

    def __init__(
        self, index: Index, query: Query, vector: Vectors, own: list[int], n: int, *, allowed: Rows | None
    ) -> None:
        self.query = query
        self._index, self._allowed, self._vector, self._own, self._n = index, allowed, vector, own, n
        self._find()

    def more(self) -> None:
        """Find twice as many."""
        self._n *= 2
        self._find()

    def _find(self) -> None:
        wanted = self._n + len(self._own)
        rows, cosines = self._index.nearest(self._vector, wanted, self._allowed)
        others = ~np.isin(rows, self._own)
        self.rows, self.cosines, self.all = rows[others], cosines[others], len(rows) < wanted


def query_vector(query: Query, vector_of: VectorOf) -> tuple[Vectors, list[int]]:
    """The weighted sum of the terms' unit vectors, scaled to one, (1, d); and rows of the photos among the terms.

    Raises:
        SearchError: the terms cancel out.
    """
    parts = [(term.weight, *vector_of(term)) for term in query.terms]
    total = np.sum([np.float32(weight) * vector for weight, vector, _ in parts], axis=0)
    length = np.linalg.norm(total)
    if length < 1e-4 * max(abs(weight) for weight, _, _ in parts):
        raise SearchError("the terms of the query cancel out; take away something else than what is asked for")
    return np.asarray(total / length, dtype=np.float32), [row for _, _, row in parts if row is not None]

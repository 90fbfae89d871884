"""Candidates of a query: the images nearest to the query vector, fused with the images that contain its words."""

from collections.abc import Callable

import numpy as np

from kadr.errors import SearchError
from kadr.index import Index, find_words
from kadr.io.embeddings import Rows, Vectors
from kadr.search.fusion import DEPTH, WordRanking, added_text, fuse, rank_words, reciprocal_ranks
from kadr.search.query import Query, Term
from kadr.search.results import Cosines, Ranked

EmbedTerm = Callable[[Term], tuple[Vectors, int | None]]
"""Function that returns the vector (1, d) of a term. For an image in the index, it also returns the row number."""


class Candidates:
    """The candidates of a query among the images that pass its filters. Images used in the query are excluded.

    The candidates are the images nearest to the query vector. If names or texts contain words of the query, the first
    candidates are a fusion of the nearest images and the images with these words.

    Args:
        index: index to search.
        query: query with terms and filters.
        vector: (1, d) float32 query vector.
        query_rows: row numbers of the images used in the query.
        n: number of candidates to find.
        allowed: row numbers of the images that pass the filters. None allows all images.
        words: whether to search the words of the query. A query in the order of the cosine ignores its words.

    Attributes:
        rows: (m,) row numbers of the candidates, best first.
        cosines: (m,) cosines of the candidates and the query vector.
        exhausted: whether the index contains no more candidates.
        max_other_cosine: maximum cosine of the images that are not candidates.
    """

    rows: Rows
    cosines: Cosines
    exhausted: bool
    max_other_cosine: float

    def __init__(
        self,
        index: Index,
        query: Query,
        vector: Vectors,
        query_rows: list[int],
        n: int,
        *,
        allowed: Rows | None,
        words: bool = True,
    ) -> None:
        self.query = query
        self._index, self._allowed, self._vector, self._query_rows, self._n = index, allowed, vector, query_rows, n
        self._words = rank_words(index, query, allowed) if words and query.order != "cosine" else None
        self._head = None if self._words is None else self._fuse_words(self._words)
        self._find()

    def double(self) -> None:
        """Search again for twice as many candidates."""
        self._n *= 2
        self._find()

    def find_words(self, rows: Rows) -> list[dict[str, tuple[str, ...]]]:
        """Return the words of the query that each image contains: field of the text index -> words."""
        if self._words is None:
            return [{} for _ in rows]
        text, has_words = added_text(self.query), self._words.scores(rows) > 0
        images = self._index.table.select(["path", "description", "image_text"]).take(rows).to_pylist()
        return [find_words(text, image) if found else {} for image, found in zip(images, has_words, strict=True)]

    def fuse_predictions(self, ranked: Ranked, n: int) -> Ranked:
        """Fuse the first n images of a ranking, which a relevance model has sorted, with the ranking of the words.

        Args:
            ranked: ranked candidates.
            n: number of candidates with a predicted relevance.
        """
        if self._words is None or not n:
            return ranked
        order = fuse([reciprocal_ranks(np.arange(1, n + 1)), self._words.scores(ranked.rows[:n])])
        return ranked.take(np.concatenate([order, np.arange(n, len(ranked.rows))]))

    def _find(self) -> None:
        n = self._n
        rows, cosines, self.exhausted = self._nearest(n)
        other_cosines = cosines[-1:]
        if self._head is not None:
            head_rows, head_cosines = self._head
            is_tail = ~np.isin(rows, head_rows)
            rows = np.concatenate([head_rows, rows[is_tail]])
            cosines = np.concatenate([head_cosines, cosines[is_tail]])
            other_cosines = np.concatenate([other_cosines, cosines[n:]])
            self.exhausted = self.exhausted and len(rows) <= n
        self.rows, self.cosines = rows[:n], cosines[:n]
        self.max_other_cosine = float(other_cosines.max(initial=-1))

    def _nearest(self, n: int, allowed: Rows | None = None) -> tuple[Rows, Cosines, bool]:
        """Return the n nearest images, and whether there are no more images."""
        k = n + len(self._query_rows)
        rows, cosines = self._index.nearest(self._vector, k, self._allowed if allowed is None else allowed)
        is_candidate = ~np.isin(rows, self._query_rows)
        return rows[is_candidate], cosines[is_candidate], len(rows) < k

    def _fuse_words(self, words: WordRanking) -> tuple[Rows, Cosines]:
        """Return the first candidates and their cosines. They do not depend on the number of candidates."""
        nearest, nearest_cosines, _ = self._nearest(DEPTH)
        with_words, word_cosines, _ = self._nearest(DEPTH, words.rows[words.ranks <= DEPTH])
        is_new = ~np.isin(with_words, nearest)
        rows = np.concatenate([nearest, with_words[is_new]])
        cosines = np.concatenate([nearest_cosines, word_cosines[is_new]])
        cosine_scores = np.zeros(len(rows))
        cosine_scores[: len(nearest)] = reciprocal_ranks(np.arange(1, len(nearest) + 1))
        order = fuse([cosine_scores, words.scores(rows)])
        return rows[order], cosines[order]


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

"""Combine the ranking of the encoder with the ranking of the words, by reciprocal rank fusion.

The score of an image is the sum of 1 / (60 + rank) over both rankings (Cormack, Clarke and Buettcher 2009). The word
ranking has a weight per image: the share of the query's words that the image contains. An image that contains a single
word of a long description by accident therefore hardly moves, and an image with exactly the name of the query is first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kadr.index import Index
from kadr.index.text_index import Scores, sum_by
from kadr.io.embeddings import Rows
from kadr.search.query import Query

RRF_K = 60
"""Constant of reciprocal rank fusion, from the paper. It limits the weight of the first ranks."""

DEPTH = 1000
"""Number of images of each ranking that are fused."""

COVERAGE_EXPONENT = 2.0
"""Exponent of the share of the query's words that an image contains. Chosen in docs/quality.md."""


@dataclass(frozen=True)
class WordRanking:
    """The images that contain words of a query.

    Attributes:
        rows: (n,) row numbers of the images, ascending.
        ranks: (n,) ranks by BM25 score, from 1. Images with equal scores have the same rank.
        weights: (n,) weights of the ranks, 0..1.
    """

    rows: Rows
    ranks: npt.NDArray[np.int64]
    weights: Scores

    def scores(self, rows: Rows) -> Scores:
        """Return the reciprocal rank scores of images. Images without words of the query have the score 0."""
        scores = np.zeros(len(rows))
        positions = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        is_found = self.rows[positions] == rows
        found = positions[is_found]
        scores[is_found] = self.weights[found] * reciprocal_ranks(self.ranks[found])
        return scores


def reciprocal_ranks(ranks: npt.NDArray[np.int64]) -> Scores:
    """Return the scores of reciprocal rank fusion: 1 / (60 + rank)."""
    return np.asarray(1 / (RRF_K + ranks), dtype=np.float64)


def rank_words(index: Index, query: Query, allowed: Rows | None) -> WordRanking | None:
    """Rank the images whose name, folders, description or visible text contains words of a query.

    Each added text has the share of its weight in the weights of all added terms, so that words count less if the query
    also has images. An image that contains all words of a subtracted text is left out.

    Args:
        index: index to search.
        query: query with terms.
        allowed: row numbers of the images that pass the filters, ascending. None allows all images.

    Returns:
        The ranking, or None if no image contains a word of the query.
    """
    if index.text_index is None:
        return None
    total = sum(term.weight for term in query.terms if term.weight > 0)
    rows, scores, coverages = [], [], []
    for term in query.terms:
        if term.text is not None and term.weight > 0:
            matches = index.text_index.search(term.text, allowed)
            rows.append(matches.rows)
            scores.append(term.weight / total * matches.scores)
            coverages.append(term.weight / total * matches.coverages)
    if not sum(map(len, rows)):
        return None
    found, inverse = np.unique(np.concatenate(rows), return_inverse=True)
    score, coverage = (sum_by(inverse, np.concatenate(values)) for values in (scores, coverages))
    is_kept = ~np.isin(found, _subtracted_rows(index, query))
    if not is_kept.any():
        return None
    weights = np.minimum(1, coverage[is_kept]) ** COVERAGE_EXPONENT
    return WordRanking(found[is_kept], _rank_with_ties(score[is_kept]), weights)


def _subtracted_rows(index: Index, query: Query) -> Rows:
    """Return the rows of the images that contain all words of a subtracted text."""
    rows: list[Rows] = [np.empty(0, dtype=np.int64)]
    for term in query.terms:
        if term.text is not None and term.weight < 0 and index.text_index is not None:
            matches = index.text_index.search(term.text)
            rows.append(matches.rows[matches.coverages > 1 - 1e-9])
    return np.concatenate(rows)


def _rank_with_ties(scores: Scores) -> npt.NDArray[np.int64]:
    """Return the rank of each score, from 1. Equal scores have the same rank, which is the best of them."""
    ascending = np.sort(np.round(scores, 9))
    return len(scores) - np.searchsorted(ascending, np.round(scores, 9), side="right") + 1


def added_text(query: Query) -> str:
    """Return the added texts of a query, whose words are searched in names and texts."""
    return " ".join(term.text for term in query.terms if term.text is not None and term.weight > 0)


def fuse(rankings: Sequence[Scores]) -> npt.NDArray[np.intp]:
    """Return the positions of images sorted by the sum of their reciprocal rank scores, best first.

    Args:
        rankings: reciprocal rank scores (n,) of the same n images in each ranking. Images with equal sums stay in
            their order.
    """
    return np.argsort(-np.sum(rankings, axis=0), kind="stable")

"""Rank candidates, group near-duplicates, and create the search results."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kadr.io.embeddings import Rows, Vectors

_CHUNK_SIZE = 256  # number of candidates whose hashes are compared at once

Cosines = npt.NDArray[np.float32]
Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Match:
    """One search result.

    Attributes:
        image_id: ID of the image.
        path: path or URI of the image file.
        score: cosine between the query vector and the image vector, -1 to 1.
        relevance: relevance predicted by the relevance model, 0 to 1. None if the model was not applied.
        n_duplicates: number of near-duplicates of the image that were omitted from the results.
        width: width of the image in pixels, None if unknown.
        height: height of the image in pixels, None if unknown.
    """

    image_id: str
    path: str
    score: float
    relevance: float | None
    n_duplicates: int = 0
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Ranked:
    """Ranked candidates of a query, best first.

    Attributes:
        rows: (n,) row numbers in the index.
        cosines: (n,) cosines of the candidates and the query vector.
        relevances: (n,) predicted relevances, NaN for candidates without a prediction.
    """

    rows: Rows
    cosines: Cosines
    relevances: Scores

    def take(self, positions: "Rows | list[int]") -> "Ranked":
        """Return the candidates at the given positions, in the same order."""
        return Ranked(self.rows[positions], self.cosines[positions], self.relevances[positions])


def rank_by_relevance(rows: Rows, cosines: Cosines, relevances: Scores) -> Ranked:
    """Rank candidates with a predicted relevance first, by relevance. The other candidates follow, by cosine.

    Args:
        rows: (n,) row numbers of the candidates, sorted by cosine.
        cosines: (n,) cosines of the candidates.
        relevances: (m,) predicted relevances of the first m candidates.
    """
    m = len(relevances)
    first = np.lexsort((rows[:m], -cosines[:m], -relevances))
    padded = np.concatenate([relevances, np.full(len(rows) - m, np.nan)])
    return Ranked(rows, cosines, padded).take(np.concatenate([first, np.arange(m, len(rows))]).astype(np.int64))


def group_near_duplicates(ranked: Ranked, phashes: Sequence[str | None], bits: int) -> tuple[list[int], list[int]]:
    """Group near-duplicates. Each group is represented by its best candidate.

    Args:
        ranked: n ranked candidates, best first.
        phashes: (n,) perceptual hashes in hexadecimal digits. An image without a hash has no near-duplicates.
        bits: maximum number of bits in which the hashes of two near-duplicates differ.

    Returns:
        Position of the best candidate in each group, and number of other candidates in each group.
    """
    codes = np.array([int(phash or "0", 16) for phash in phashes], dtype=np.uint64)
    has_hash = np.array([bool(phash) for phash in phashes], dtype=bool)
    is_first = np.ones(len(codes), dtype=bool)
    n_others = np.zeros(len(codes), dtype=np.int64)
    for start in range(0, len(codes), _CHUNK_SIZE):
        chunk, better = slice(start, start + _CHUNK_SIZE), slice(start + _CHUNK_SIZE)
        near = np.bitwise_count(codes[chunk, None] ^ codes[better]) <= bits
        near &= has_hash[chunk, None] & has_hash[better]
        near = np.tril(near, start - 1)
        for row in np.flatnonzero(near.any(axis=1)):
            group = near[row] & is_first[better]
            if group.any():
                is_first[start + row] = False
                n_others[group.argmax()] += 1
    positions = np.flatnonzero(is_first)
    return positions.tolist(), n_others[positions].tolist()


def make_matches(table: pa.Table, ranked: Ranked, n_duplicates: Sequence[int]) -> list[Match]:
    """Convert ranked candidates to matches.

    Args:
        table: image metadata of the index, schema INDEXED_IMAGES.
        ranked: n ranked candidates, best first.
        n_duplicates: (n,) number of near-duplicates of each candidate.
    """
    images = table.select(["image_id", "path", "width", "height"]).take(ranked.rows).to_pylist()
    scores = ranked.cosines.tolist()
    relevances = [None if np.isnan(relevance) else float(relevance) for relevance in ranked.relevances]
    return [
        Match(image["image_id"], image["path"], score, relevance, n, image["width"], image["height"])
        for image, score, relevance, n in zip(images, scores, relevances, n_duplicates, strict=True)
    ]


def select_diverse(vectors: Vectors, similarities: Cosines, k: int, diversity: float) -> list[int]:
    """Select images by maximal marginal relevance (Carbonell and Goldstein 1998).

    Args:
        vectors: (n, d) image vectors of the candidates.
        similarities: (n,) similarities between the candidates and the query.
        k: maximum number of images to select.
        diversity: weight of the dissimilarity to images that are already selected, 0 to 1.

    Returns:
        Positions of the selected images, in the order of selection.
    """
    selected: list[int] = []
    nearest = np.full(len(vectors), -1, dtype=np.float32)
    while len(selected) < min(k, len(vectors)):
        gain = (1 - diversity) * similarities - diversity * (nearest if selected else 0)
        gain[selected] = -np.inf
        selected.append(int(gain.argmax()))
        nearest = np.maximum(nearest, vectors @ vectors[selected[-1]])
    return selected

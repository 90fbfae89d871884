"""The search's answer: found photos, near-duplicates folded into the best of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kadr.io.embeddings import Rows, Vectors

_AT_ONCE = 256  # candidates whose hashes are compared with those before them together

Cosines = npt.NDArray[np.float32]
Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Match:
    """A found photo.

    Attributes:
        image_id: which photo.
        path: its file.
        score: cosine of query and photo in the space that texts and photos share, -1..1.
        relevance: what the relevance model predicts, 0..1; None where it was not asked.
        n_duplicates: near-duplicates of it that are not shown, among the candidates that were looked at.
        width: of the photo, in pixels; None where it is not known.
        height: likewise.
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
    """Candidates of one query, best first: rows of the index (n,), cosines (n,), relevances (n,), nan where unknown."""

    rows: Rows
    cosines: Cosines
    relevances: Scores

    def take(self, places: "Rows | list[int]") -> "Ranked":
        """The candidates at these places."""
        return Ranked(self.rows[places], self.cosines[places], self.relevances[places])


def by_relevance(rows: Rows, cosines: Cosines, relevances: Scores) -> Ranked:
    """The first candidates, those with a relevance, in its order, then the others as they are.

    Args:
        rows: (n,) by cosine.
        cosines: (n,) of them.
        relevances: (m,) of the first m of them.
    """
    m = len(relevances)
    first = np.lexsort((rows[:m], -cosines[:m], -relevances))
    known = np.concatenate([relevances, np.full(len(rows) - m, np.nan)])
    return Ranked(rows, cosines, known).take(np.concatenate([first, np.arange(m, len(rows))]).astype(np.int64))


def fold(ranked: Ranked, phashes: Sequence[str | None], bits: int) -> tuple[list[int], list[int]]:
    """Places of the candidates that are shown, and how many later near-duplicates each stands for.

    Args:
        ranked: n candidates.
        phashes: of them; a photo without one has no near-duplicate.
        bits: perceptual hashes that differ in at most so many of 64 bits are near-duplicates.
    """
    codes = np.array([int(phash or "0", 16) for phash in phashes], dtype=np.uint64)
    known = np.array([bool(phash) for phash in phashes], dtype=bool)
    shown = np.ones(len(codes), dtype=bool)
    n_folded = np.zeros(len(codes), dtype=np.int64)
    for start in range(0, len(codes), _AT_ONCE):
        rows, before = slice(start, start + _AT_ONCE), slice(start + _AT_ONCE)
        near = known[rows, None] & known[before] & (np.bitwise_count(codes[rows, None] ^ codes[before]) <= bits)
        near = np.tril(near, start - 1)  # to those that stand before
        for row in np.flatnonzero(near.any(axis=1)):
            same = near[row] & shown[before]
            if same.any():
                shown[start + row] = False
                n_folded[same.argmax()] += 1
    places = np.flatnonzero(shown)
    return places.tolist(), n_folded[places].tolist()


def as_matches(photos: pa.Table, ranked: Ranked, n_folded: Sequence[int]) -> list[Match]:
    """Matches of n candidates out of the index's photos."""
    taken = photos.select(["image_id", "path", "width", "height"]).take(ranked.rows).to_pylist()
    scores = ranked.cosines.tolist()
    relevances = [None if np.isnan(relevance) else float(relevance) for relevance in ranked.relevances]
    return [
        Match(photo["image_id"], photo["path"], score, relevance, folded, photo["width"], photo["height"])
        for photo, score, relevance, folded in zip(taken, scores, relevances, n_folded, strict=True)
    ]


def diverse(vectors: Vectors, likeness: Cosines, k: int, diversity: float) -> list[int]:
    """Places of k photos, each like what is wanted and unlike those before it (MMR, Carbonell and Goldstein 1998).

    Args:
        vectors: (n, d) of the candidates.
        likeness: (n,) to what is wanted.
        k: at most n are chosen.
        diversity: 0 the likeness alone, 1 the unlikeness to each other alone.
    """
    chosen: list[int] = []
    nearest = np.full(len(vectors), -1, dtype=np.float32)
    while len(chosen) < min(k, len(vectors)):
        gain = (1 - diversity) * likeness - diversity * (nearest if chosen else 0)
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen

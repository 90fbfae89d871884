"""Rank candidates, group near-duplicates, and create the search results."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kadr.io.embeddings import Rows, Vectors
from kadr.io.image_signature import is_near_duplicate, stack_signatures

_CHUNK_SIZE = 256  # number of candidates whose hashes are compared at once
_WINDOW = 4096  # a candidate is compared with this number of better candidates. Near-duplicates have similar cosines
_MATCH_COLUMNS = [
    "image_id",
    "path",
    "width",
    "height",
    "sha256",
    "taken",
    "taken_source",
    "camera",
    "bytes",
    "latitude",
    "longitude",
]  # fields of Match that are columns of INDEXED_IMAGES

Cosines = npt.NDArray[np.float32]
Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Match:
    """One search result.

    Attributes:
        image_id: ID of the image.
        path: path or URI of the image file.
        score: cosine between the query vector and the image vector, -1 to 1. None for a query without terms.
        relevance: relevance predicted by the relevance model, 0 to 1. None if the model was not applied.
        n_duplicates: number of near-duplicates of the image that were omitted from the results.
        width: width of the image in pixels, None if unknown.
        height: height of the image in pixels, None if unknown.
        sha256: SHA-256 of the image file, None if there is no file.
        taken: date and time when the image was taken, in ISO 8601 format. None if unknown.
        taken_source: origin of this date: exif, xmp, gps, name (of the file) or file (its modification time).
        camera: make and model of the camera, None if unknown.
        bytes: size of the image file in bytes, None if unknown.
        latitude: latitude in degrees north, None if unknown.
        longitude: longitude in degrees east, None if unknown.
        words: field (name, folders, description or image_text) -> words of the query that the field contains.
    """

    image_id: str
    path: str
    score: float | None
    relevance: float | None
    n_duplicates: int = 0
    width: int | None = None
    height: int | None = None
    sha256: str | None = None
    taken: str | None = None
    taken_source: str | None = None
    camera: str | None = None
    bytes: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)

    @property
    def folder(self) -> str:
        """Path or URI of the folder that contains the image. It is empty if the path is only a file name."""
        return folder_of(self.path)


def folder_of(path: str) -> str:
    """Return the path or URI of the folder that contains a file. It is empty if the path is only a file name."""
    folder, separator, _ = path.rpartition("/")
    return folder or separator


@dataclass(frozen=True)
class Ranked:
    """Ranked candidates of a query, in the order of the results.

    Attributes:
        rows: (n,) row numbers in the index.
        cosines: (n,) cosines of the candidates and the query vector, NaN for a query without terms.
        relevances: (n,) predicted relevances, NaN for candidates without a prediction.
    """

    rows: Rows
    cosines: Cosines
    relevances: Scores

    def take(self, positions: "Rows | list[int]") -> "Ranked":
        """Return the candidates at the given positions, in the same order."""
        return Ranked(self.rows[positions], self.cosines[positions], self.relevances[positions])


def rank_by_cosine(rows: Rows, cosines: Cosines, relevances: Scores) -> Ranked:
    """Rank candidates by cosine. See `rank_by_relevance` for the arguments."""
    padded = np.concatenate([relevances, np.full(len(rows) - len(relevances), np.nan)])
    return Ranked(rows, cosines, padded).take(np.lexsort((rows, -cosines)))


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


def group_near_duplicates(
    phashes: Sequence[str | None], signatures: Sequence[bytes | None], bits: int
) -> tuple[list[int], list[int]]:
    """Group near-duplicates. Each group is represented by its best candidate.

    Args:
        phashes: (n,) perceptual hashes of n candidates in hexadecimal digits, best candidate first. An image without a
            hash has no near-duplicates.
        signatures: (n,) visual signatures. Images without a signature are compared by their hashes alone.
        bits: maximum number of bits in which the hashes of two near-duplicates differ.

    Returns:
        Position of the best candidate in each group, and number of other candidates in each group.
    """
    codes = np.array([int(phash or "0", 16) for phash in phashes], dtype=np.uint64)
    has_hash = np.array([bool(phash) for phash in phashes], dtype=bool)
    stacked, has_signature = stack_signatures(signatures)
    is_first = np.ones(len(codes), dtype=bool)
    n_others = np.zeros(len(codes), dtype=np.int64)
    for start in range(0, len(codes), _CHUNK_SIZE):
        first = max(0, start - _WINDOW)
        chunk, better = slice(start, start + _CHUNK_SIZE), slice(first, start + _CHUNK_SIZE)
        near = np.bitwise_count(codes[chunk, None] ^ codes[better]) <= bits
        near &= has_hash[chunk, None] & has_hash[better]
        near = np.tril(near, start - first - 1)
        for row in np.flatnonzero(near.any(axis=1)):
            group = first + np.flatnonzero(near[row] & is_first[better])
            if has_signature[start + row]:
                same = is_near_duplicate(stacked[group], stacked[[start + row]])
                group = group[same | ~has_signature[group]]
            if len(group):
                is_first[start + row] = False
                n_others[group[0]] += 1
    positions = np.flatnonzero(is_first)
    return positions.tolist(), n_others[positions].tolist()


def make_matches(
    table: pa.Table,
    ranked: Ranked,
    n_duplicates: Sequence[int],
    words: Sequence[Mapping[str, tuple[str, ...]]] | None = None,
) -> list[Match]:
    """Convert ranked candidates to matches.

    Args:
        table: image metadata of the index, schema INDEXED_IMAGES.
        ranked: n ranked candidates, best first.
        n_duplicates: (n,) number of near-duplicates of each candidate.
        words: (n,) words of the query in the name and texts of each candidate: field -> words. None for no words.
    """
    images = table.select(_MATCH_COLUMNS).take(ranked.rows).to_pylist()
    return [
        Match(
            **{**image, "taken": image["taken"] and image["taken"].isoformat()},
            score=_none_if_nan(score),
            relevance=_none_if_nan(relevance),
            n_duplicates=n,
            words=found,
        )
        for image, score, relevance, n, found in zip(
            images,
            ranked.cosines.tolist(),
            ranked.relevances.tolist(),
            n_duplicates,
            words or [{}] * len(images),
            strict=True,
        )
    ]


def _none_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value


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

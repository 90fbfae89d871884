"""What the page shows with photos: the best and the worst predictions, and the answers to a few searches."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kadr.io.embeddings import Embeddings, Vectors
from kadr.io.thumbnails import open_thumbnail
from kadr.search import Match, Searcher

_SIDE = 220  # pixels of a photo's longer side on the page
_RELEVANT = 0.75  # from here on a pair counts as a match that the model ought to be sure of


@dataclass(frozen=True)
class Example:
    """A held-out pair with its photo (a data address), what the model and what people say of it."""

    photo: str
    image_id: str
    text: str
    score: float
    relevance: float


@dataclass(frozen=True)
class Found:
    """A photo that a search found; `right` where the text was written for it."""

    photo: str
    match: Match
    right: bool


@dataclass(frozen=True)
class Query:
    """A search and its answer, best first; `has_answer` where a right photo is known."""

    text: str
    found: Sequence[Found]
    has_answer: bool


@dataclass(frozen=True)
class StoredTexts:
    """A text encoder for texts that are embedded already: it looks their vectors up.

    Attributes:
        embeddings: of the texts, by their ids.
        id_of: text -> id.
    """

    embeddings: Embeddings
    id_of: Mapping[str, str]

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Vectors of n stored texts: (n, d) float32, unit norm."""
        return self.embeddings.select([self.id_of[text] for text in texts])


def best_pairs(predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """The n matches (relevance from 0.75 on) that the model is surest of, one per photo; schema PREDICTIONS."""
    matches = predictions[predictions["relevance"] >= _RELEVANT]
    ordered = matches.sort_values(["score", "image_id", "query_id"], ascending=[False, True, True])
    return ordered.drop_duplicates("image_id").head(n)


def worst_pairs(predictions: pd.DataFrame, n: int) -> pd.DataFrame:
    """The n pairs where score and relevance are farthest apart; schema PREDICTIONS."""
    error = (predictions["score"] - predictions["relevance"]).abs()
    ordered = predictions.assign(error=error).sort_values(
        ["error", "image_id", "query_id"], ascending=[False, True, True]
    )
    return ordered.head(n).drop(columns="error")


def with_photos(pairs: pd.DataFrame, text_of: Mapping[str, str], path_of: Mapping[str, str]) -> list[Example]:
    """Examples of `pairs` (schema PREDICTIONS). Raises InputError where a photo cannot be read."""
    return [
        Example(photo_address(path_of[image_id]), image_id, text_of[query_id], score, relevance)
        for image_id, query_id, score, relevance in zip(
            pairs["image_id"], pairs["query_id"], pairs["score"], pairs["relevance"], strict=True
        )
    ]


def run_searches(searcher: Searcher, queries: pd.DataFrame, n: int, k: int) -> list[Query]:
    """The answers to the first n test texts, at most one per photo that a text was written for.

    Args:
        searcher: over the index.
        queries: columns of schema QUERIES.
        n: how many texts.
        k: how many photos for each.
    """
    test = queries[queries["split"] == "test"].sort_values("query_id")
    known = test["image_id"].notna()
    chosen = pd.concat([test[known].drop_duplicates("image_id"), test[~known]]).head(n)
    indexed = set(searcher.index.photos["image_id"].to_pylist())
    return [
        Query(text, [_found(match, own) for match in searcher.search(text, k)], own in indexed)
        for text, own in zip(chosen["text"], chosen["image_id"], strict=True)
    ]


def _found(match: Match, own: str | None) -> Found:
    return Found(photo_address(match.path), match, match.image_id == own)


def photo_address(path: str) -> str:
    """The photo as a small JPEG inside a `data:` address. Raises InputError where it cannot be read."""
    written = io.BytesIO()
    open_thumbnail(Path(path), _SIDE).save(written, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode("ascii")

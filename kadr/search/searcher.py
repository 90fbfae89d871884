"""Search in two steps: the nearest photos by cosine, then the first of them in the order of predicted relevance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kadr.embed import normalise
from kadr.embeddings import Rows, Vectors
from kadr.errors import SearchError
from kadr.features import Images, Texts
from kadr.index import Index

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


class TextEncoder(Protocol):
    """What search needs of a text encoder."""

    def transform(self, texts: Sequence[str]) -> Vectors:
        """Vectors of n texts: (n, d) float32, unit norm."""


class Relevance(Protocol):
    """What search needs of a relevance model."""

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> Scores:
        """Relevance of n pairs of photo and text: (n,) float64 in 0..1."""


@dataclass(frozen=True)
class Match:
    """A found photo.

    Attributes:
        image_id: which photo.
        path: its file.
        score: cosine of text and photo in their shared space, -1..1.
        relevance: what the relevance model predicts, 0..1; None where it was not asked.
    """

    image_id: str
    path: str
    score: float
    relevance: float | None


@dataclass(frozen=True)
class Searcher:
    """Finds photos by words.

    Attributes:
        index: the photos.
        encoders: name -> text encoder; the index's own, and those that the model was trained with.
        model: the relevance model, or None for the order of cosines alone.
        rerank: how many of the nearest photos the model reorders; without a model, 0.
    """

    index: Index
    encoders: Mapping[str, TextEncoder]
    model: Relevance | None
    rerank: int

    def search(self, text: str, k: int) -> list[Match]:
        """The k photos (or all, where there are fewer) that fit `text` best, best first.

        The first `rerank` by cosine stand in the order of their relevance, those after them in the order of cosines;
        equals stand in the order of their ids.

        Raises:
            SearchError: the text is empty, or k is below 1.
        """
        if not text.strip():
            raise SearchError('the text to search for is empty; say what the photo shows, e.g. "a dog in the snow"')
        if k < 1:
            raise SearchError(f"k is {k}, the number of photos to find; ask for 1 or more")
        texts = self._texts(normalise(text))
        rows, cosines = self.index.nearest(texts.vectors[self.index.encoder], max(k, self.rerank))
        relevances = self._relevances(texts, rows[: self.rerank])
        first = sorted(range(len(relevances)), key=lambda at: (-relevances[at], -cosines[at], rows[at]))
        order = [*first, *range(len(first), len(rows))]
        photos = self.index.photos.take(rows[order[:k]])
        found = zip(order, photos["image_id"].to_pylist(), photos["path"].to_pylist(), strict=False)
        return [
            Match(image_id, path, float(cosines[at]), float(relevances[at]) if at < len(relevances) else None)
            for at, image_id, path in found
        ]

    def _texts(self, text: str) -> Texts:
        return Texts(["query"], [text], {name: encoder.transform([text]) for name, encoder in self.encoders.items()})

    def _relevances(self, texts: Texts, rows: Rows) -> Scores:
        if self.model is None or not len(rows):
            return np.empty(0, dtype=np.float64)
        ids = self.index.photos["image_id"].take(rows).to_pylist()
        images = Images.select(self.index.vectors, ids)
        image_rows = np.arange(len(rows), dtype=np.int64)
        return self.model.predict(images, texts, image_rows, np.zeros(len(rows), dtype=np.int64))

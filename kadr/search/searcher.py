"""Search in two steps: the nearest photos by cosine, then the first of them in the order of predicted relevance."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any, Protocol

import numpy as np
from threadpoolctl import ThreadpoolController

from kadr.errors import SearchError
from kadr.features import Images, Texts
from kadr.index import Index
from kadr.io.embeddings import Rows, Vectors
from kadr.io.texts import normalise_text
from kadr.search.candidates import Candidates, query_vector
from kadr.search.filters import allowed_rows
from kadr.search.query import Filters, Query, Term, photo_term
from kadr.search.query_encoding import Encoding, PhotoVectors, TextEncoder, TextVectors
from kadr.search.results import Match, Scores, as_matches, by_relevance, diverse, fold

Photo = str | bytes  # the image_id of a photo of the index, or the bytes of a file
_DISLIKE = 0.5  # what a disliked photo weighs against a liked one
_POOL = 10  # candidates for each recommendation
_FILTERS = 8  # whose rows are remembered


class Relevance(Protocol):
    """What search needs of a relevance model."""

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> Scores:
        """Relevance of n pairs of photo and text: (n,) float64 in 0..1."""


@dataclass(frozen=True)
class Searcher:
    """Finds photos by words and by photos.

    Attributes:
        index: the photos.
        encoders: name -> text encoder; the index's own, and those that the model was trained with.
        model: the relevance model, or None for the order of cosines alone.
        rerank: how many of the nearest photos the model reorders; without a model, 0.
        photo_vectors: encodes photos that are not in the index.
        duplicate_bits: perceptual hashes that differ in at most so many of 64 bits are near-duplicates.
    """

    index: Index
    encoders: Mapping[str, TextEncoder]
    model: Relevance | None
    rerank: int
    photo_vectors: PhotoVectors = field(default_factory=lambda: PhotoVectors({}))
    duplicate_bits: int = 4

    def search(self, query: Query | str, k: int, offset: int = 0) -> list[Match]:
        """The k photos after the first `offset` (fewer where there are no more) that fit best, best first.

        The first `rerank` by cosine stand in the order of their relevance, those after them in the order of cosines;
        equals stand in the order of their ids. The model judges texts: a query with a photo in it is answered by
        cosine. The relevance of several texts is the product of theirs, of one to keep away from 1 - relevance.

        Args:
            query: a query, or one text as it is (`parse_query` reads + and -).
            k: at least 1.
            offset: at least 0.

        Raises:
            SearchError: the query cannot be asked.
            InputError: a photo of the query does not decode.
        """
        return self.search_many([query], k, offset)[0]

    def search_many(self, queries: Sequence[Query | str], k: int, offset: int = 0) -> list[list[Match]]:
        """`search` of each query; their texts are encoded together, and the model judges all pairs at once."""
        if k < 1 or offset < 0:
            raise SearchError(f"k is {k}, the number of photos to find, after the first {offset}; ask for 1 or more")
        asked = [query if isinstance(query, Query) else Query((Term(1.0, text=query),)) for query in queries]
        with self._threads.limit(limits=1):
            coming = self._text_vectors([term.text for query in asked for term in query.terms if term.text is not None])
            found = [self._candidates(query, coming, max(offset + k, self.rerank)) for query in asked]
            judged = self._relevances(found, coming)
            return [self._answer(one, of, offset + k)[offset:] for one, of in zip(found, judged, strict=True)]

    def similar(self, photo: Photo, k: int, offset: int = 0, filters: Filters | None = None) -> list[Match]:
        """The photos that look most like a photo of the index (its image_id) or a file (its bytes)."""
        return self.search(Query((photo_term(1.0, photo),), filters or Filters()), k, offset)

    def recommend(
        self,
        likes: Sequence[Photo],
        dislikes: Sequence[Photo] = (),
        k: int = 10,
        diversity: float = 0.3,
        filters: Filters | None = None,
    ) -> list[Match]:
        """Photos like those that someone likes, unlike those disliked, and unlike each other.

        Args:
            likes: at least one.
            dislikes: may be empty.
            k: at least 1.
            diversity: 0 the likeness alone, 1 the unlikeness to each other alone.
            filters: of what may be found.
        """
        if not likes or not 0 <= diversity <= 1:
            raise SearchError(f"{len(likes)} liked photos, diversity {diversity}; give one or more, and 0 to 1")
        terms = [*(photo_term(1.0, one) for one in likes), *(photo_term(-_DISLIKE, one) for one in dislikes)]
        query = Query(tuple(terms), filters or Filters())
        found = self.search(query, _POOL * k)
        rows = np.array([self.index.row_of(match.image_id) for match in found], dtype=np.int64)
        vectors = self.index.vectors[self.index.encoder].take(rows)
        likeness = np.array([match.score for match in found], dtype=np.float32)
        return [found[at] for at in diverse(vectors, likeness, k, diversity)]

    def score(self, photo: Photo, text: str) -> float:
        """The relevance 0..1 of a photo (image_id or bytes of a file) and a text. Raises SearchError: no model."""
        if self.model is None:
            raise SearchError("there is no relevance model; train one with `dvc repro train` and set index.rerank")
        texts = self._text_vectors([Term(1.0, text=text).text or ""]).all()
        names = list(self.index.vectors)
        row = self.row_of(photo)
        images = (
            Images([""], self.photo_vectors(photo, names))
            if isinstance(photo, bytes) and row is None
            else self.index.images(np.array([row], dtype=np.int64))
        )
        only = np.zeros(1, dtype=np.int64)
        return float(self.model.predict(images, texts, only, only)[0])

    def photo(self, image_id: str) -> dict[str, Any]:
        """What the index knows of a photo: the columns of schema INDEXED. Raises SearchError where it is unknown."""
        row = self.row_of(image_id)
        known: dict[str, Any] = self.index.photos.slice(row, 1).to_pylist()[0]
        return known

    def row_of(self, photo: Photo) -> int | None:
        """Row of a photo in the index; None for a file that is not in it. Raises SearchError for an unknown id."""
        if isinstance(photo, bytes):
            return self.index.row_of_content(hashlib.sha256(photo).hexdigest())
        row = self.index.row_of(photo)
        if row is None:
            raise SearchError(f"there is no photo {photo!r} in the index; take an id that a search gave, or index it")
        return row

    @cached_property
    def _text_vectors(self) -> TextVectors:
        return TextVectors(self.encoders)

    @cached_property
    def _threads(self) -> ThreadpoolController:
        """Of NumPy's products and FAISS: one each, for several wait for each other while encoders use the cores."""
        return ThreadpoolController()

    @cached_property
    def _allowed(self) -> Callable[[Filters], Rows | None]:
        """`allowed_rows`, the last few remembered: a query typed letter by letter keeps its filters."""
        return lru_cache(maxsize=_FILTERS)(partial(allowed_rows, self.index))

    def _candidates(self, query: Query, coming: Encoding, n: int) -> Candidates:
        """They are found while encoders that the model alone needs are still at work."""
        encoder = self.index.encoder

        def vector_of(term: Term) -> tuple[Vectors, int | None]:
            if term.text is not None:
                return coming.vector(term.text, encoder), None
            photo = term.photo if term.photo is not None else term.image_id or ""
            row = self.row_of(photo)
            if isinstance(photo, bytes) and row is None:
                return self.photo_vectors(photo, [encoder])[encoder], None
            return self.index.vectors[encoder].take(np.array([row], dtype=np.int64)), row

        if query.filters.min_relevance is not None and not self._judges(query):
            raise SearchError(
                "the least relevance is asked for, but no model judges this: it takes a query of texts alone, and "
                "index.rerank above 0 (params.yaml)"
            )
        return Candidates(self.index, query, *query_vector(query, vector_of), n, allowed=self._allowed(query.filters))

    def _judges(self, query: Query) -> bool:
        return self.model is not None and self.rerank > 0 and all(term.text is not None for term in query.terms)

    def _relevances(self, found: Sequence[Candidates], coming: Encoding) -> list[Scores]:
        """Relevances of the first candidates of each query, none where the model does not judge it.

        What the photos take is fetched while encoders are still at work.
        """
        relevances = [np.empty(0) for _ in found]
        asked = [
            (at, term, one.rows[: self.rerank])
            for at, one in enumerate(found)
            if self._judges(one.query)
            for term in one.query.terms
        ]
        if self.model is None or not asked:
            coming.all()  # remembers them
            return relevances
        rows, image_rows = np.unique(np.concatenate([rows for _, _, rows in asked]), return_inverse=True)
        images = self.index.images(rows)
        texts = coming.all()
        row_of_text = {text: row for row, text in enumerate(texts.texts)}
        text_rows = np.concatenate(
            [np.full(len(rows), row_of_text[normalise_text(term.text or "")]) for _, term, rows in asked]
        )
        judged = self.model.predict(images, texts, image_rows, text_rows)
        edges = np.cumsum([len(rows) for _, _, rows in asked])[:-1]
        for (at, term, _), relevance in zip(asked, np.split(judged, edges), strict=True):
            power = term.weight / max(abs(other.weight) for other in found[at].query.terms)
            factor = relevance**power if power > 0 else (1 - relevance) ** -power
            relevances[at] = relevances[at] * factor if len(relevances[at]) else factor
        return relevances

    def _answer(self, found: Candidates, relevances: Scores, k: int) -> list[Match]:
        """The best k, near-duplicates folded where the query wants it; more candidates are found while they are few."""
        least = found.query.filters.min_relevance
        while True:
            ranked = by_relevance(found.rows, found.cosines, relevances)
            if least is not None:
                ranked = ranked.take(np.flatnonzero(ranked.relevances >= least))
            phashes = self.index.photos["phash"].take(ranked.rows).to_pylist()
            shown, n_folded = fold(ranked, phashes, self.duplicate_bits if found.query.fold_duplicates else -1)
            if len(shown) >= k or found.all or least is not None:
                return as_matches(self.index.photos, ranked.take(shown[:k]), n_folded[:k])
            found.more()

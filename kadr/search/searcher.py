"""Search in two steps: find the nearest images by cosine, then rerank them with the relevance model."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from kadr.search.facets import Facets, count_facets
from kadr.search.filters import allowed_rows, sort_rows, sorted_rows
from kadr.search.languages import KnownLanguages
from kadr.search.query import Filters, Query, Sort, Term, image_term
from kadr.search.query_encoding import ImageQueryEncoder, PendingTexts, TextEmbedder, TextQueryEncoder
from kadr.search.query_hints import find_encoder_hints
from kadr.search.query_syntax import Reading, explain_query, parse_query
from kadr.search.results import (
    Match,
    Ranked,
    Scores,
    group_near_duplicates,
    make_matches,
    rank_by_cosine,
    rank_by_relevance,
    select_diverse,
)

ImageReference = str | bytes
"""The ID of an image in the index, or the content of an image file."""

SORTED_BEST = 200
"""Number of best images of a query that are sorted by date or by name."""

SORTED_MAX = 10_000
"""Maximum number of images that are sorted by date or by name, if the query has a minimum cosine."""

DEEP = 2048
"""Number of results of a query from which the ranking is kept for the next pages."""

_DEEP_CACHE_SIZE = 4
_DISLIKE_WEIGHT = 0.5  # weight of a disliked image; a liked image has the weight 1
_CANDIDATES_PER_RECOMMENDATION = 10
_FILTER_CACHE_SIZE = 8
_FACET_CACHE_SIZE = 32


@dataclass(frozen=True)
class Ranking:
    """The first images of a query, in the order of the query.

    Attributes:
        ranked: n images.
        n_duplicates: (n,) number of near-duplicates that each image represents.
        candidates: candidates from which the images were ranked.
    """

    ranked: Ranked
    n_duplicates: list[int]
    candidates: Candidates


class RelevancePredictor(Protocol):
    """Interface that a relevance model must have for search."""

    def predict(self, images: Images, texts: Texts, image_rows: Rows, text_rows: Rows) -> Scores:
        """Predict the relevance of n pairs of an image and a text: (n,) float64 in 0..1."""


@dataclass(frozen=True)
class Searcher:
    """Search for images by text or by example images.

    Attributes:
        index: index of the image collection to search.
        encoders: encoder name -> text encoder, for the search encoder and for all encoders of the relevance model.
        model: relevance model. None ranks by cosine alone.
        rerank: number of nearest images that the relevance model reranks. 0 if there is no model.
        image_encoder: encoder for image files that are not in the index.
        duplicate_bits: maximum number of bits in which the perceptual hashes of two near-duplicates differ.
        words: whether to search the words of a query in names and texts, too.
    """

    index: Index
    encoders: Mapping[str, TextEmbedder]
    model: RelevancePredictor | None
    rerank: int
    image_encoder: ImageQueryEncoder = field(default_factory=lambda: ImageQueryEncoder({}))
    duplicate_bits: int = 4
    words: bool = True

    def search(self, query: Query | str, k: int, offset: int = 0) -> list[Match]:
        """Return the best images for a query, or the images that pass the filters if the query has no terms.

        The `rerank` images with the highest cosine are sorted by predicted relevance. All other images are sorted by
        cosine. Ties are sorted by image ID. If a query has several texts, the relevance of an image is the product of
        its relevances for the texts. For a subtracted text, the factor is 1 minus the relevance. The results of a query
        are not reranked if it contains an image, or a text in a language that a text encoder of the relevance model
        does not know.

        A query with the order newest, oldest or name sorts its best SORTED_BEST images, or all images with at least
        the minimum cosine, up to SORTED_MAX.

        Args:
            query: a query or a plain text. Use `parse_query` for a text with + and - signs.
            k: maximum number of images to return, at least 1.
            offset: number of images to skip at the top of the ranking.

        Returns:
            Matches, best first.

        Raises:
            SearchError: the query is invalid.
            UndecodableError: an image of the query cannot be decoded.
        """
        return self.search_many([query], k, offset)[0]

    def search_many(self, queries: Sequence[Query | str], k: int, offset: int = 0) -> list[list[Match]]:
        """Search for several queries in one batch, which is faster than one search per query.

        Args:
            queries: queries or plain texts, as in `search`.
            k: maximum number of images to return per query, at least 1.
            offset: number of images to skip at the top of each ranking.

        Returns:
            One list of matches per query, best first.
        """
        if k < 1 or offset < 0:
            raise SearchError(f"k is {k} and offset is {offset}, expected k of at least 1 and offset of at least 0.")
        parsed = [query if isinstance(query, Query) else Query((Term(1.0, text=query),)) for query in queries]
        with self._threads.limit(limits=1):
            searched = [query for query in parsed if query.terms]
            if offset + k <= DEEP:
                rankings = iter(self._rank_many(searched, offset + k))
            else:  # the next pages are slices of the same ranking
                n = 1 << (offset + k - 1).bit_length()
                rankings = iter([self._deep_ranking(query, n) for query in searched])
            return [
                self._take_page(next(rankings), k, offset) if query.terms else self._browse(query, k, offset)
                for query in parsed
            ]

    def count(self, query: Query) -> int:
        """Return the number of images that pass the filters of a query on the metadata.

        The filters `min_relevance` and `min_cosine` are ignored, because they depend on the query.
        """
        if not query.terms:
            return len(self._sorted_rows(query.filters, query.order))
        rows = self._allowed_rows(query.filters.of_metadata)
        return len(self.index.table) if rows is None else len(rows)

    def explain(self, text: str, query: Query) -> Reading:
        """Explain how a search expression was read, and which parts of the query the encoders cannot know.

        Args:
            text: search expression. It is empty if the query has no expression.
            query: query with the terms of the expression.
        """
        reading = explain_query(text, parse_query(text).terms) if text else Reading(None, ())
        texts = [term.text for term in query.terms if term.text is not None]
        model_known = self._model_languages if self._can_rerank(query) else None
        hints = find_encoder_hints(texts, self.encoders[self.index.encoder], self._search_languages, model_known)
        return replace(reading, hints=(*reading.hints, *hints)) if texts else reading

    def facets(self, filters: Filters) -> Facets:
        """Count the images that pass the filters by folder, month, camera, colour and place."""
        return self._facets(filters.of_metadata)

    def similar(self, image: ImageReference, k: int, offset: int = 0, filters: Filters | None = None) -> list[Match]:
        """Return the images that are most similar to an image.

        Args:
            image: ID of an image in the index, or content of an image file.
            k: maximum number of images to return, at least 1.
            offset: number of images to skip at the top of the ranking.
            filters: filters for the results.
        """
        return self.search(Query((image_term(1.0, image),), filters or Filters()), k, offset)

    def recommend(
        self,
        likes: Sequence[ImageReference],
        dislikes: Sequence[ImageReference] = (),
        k: int = 10,
        diversity: float = 0.3,
        filters: Filters | None = None,
    ) -> list[Match]:
        """Return images that are similar to the liked images, but not to the disliked images or to each other.

        Args:
            likes: liked images, at least one.
            dislikes: disliked images.
            k: maximum number of images to return, at least 1.
            diversity: weight of the dissimilarity between the results, 0 to 1.
            filters: filters for the results.

        Raises:
            SearchError: `likes` is empty, or `diversity` is not between 0 and 1.
        """
        if not likes:
            raise SearchError("The list of liked images is empty. Name at least one image that you like.")
        if not 0 <= diversity <= 1:
            raise SearchError(f"The diversity is {diversity}, expected 0 to 1.")
        terms = [
            *(image_term(1.0, image) for image in likes),
            *(image_term(-_DISLIKE_WEIGHT, image) for image in dislikes),
        ]
        matches = self.search(Query(tuple(terms), filters or Filters()), _CANDIDATES_PER_RECOMMENDATION * k)
        rows = np.array([self.index.find_row(match.image_id) for match in matches], dtype=np.int64)
        vectors = self.index.vectors[self.index.encoder].take(rows)
        similarities = np.array([match.score for match in matches], dtype=np.float32)
        return [matches[position] for position in select_diverse(vectors, similarities, k, diversity)]

    def score(self, image: ImageReference, text: str) -> float:
        """Predict the relevance of an image for a text, 0 to 1.

        Args:
            image: ID of an image in the index, or content of an image file.
            text: a query or a caption.

        Raises:
            SearchError: no relevance model is loaded, or the text is empty.
        """
        if self.model is None:
            raise SearchError(
                "No relevance model is loaded. Train one with `dvc repro train`, and set index.rerank above 0."
            )
        texts = self._text_encoder([Term(1.0, text=text).text or ""]).result()
        encoders = list(self.index.vectors)
        row = self.find_row(image)
        images = (
            Images([""], self.image_encoder(image, encoders))
            if isinstance(image, bytes) and row is None
            else self.index.images(np.array([row], dtype=np.int64))
        )
        first = np.zeros(1, dtype=np.int64)
        return float(self.model.predict(images, texts, first, first)[0])

    def image_metadata(self, image_id: str) -> dict[str, Any]:
        """Return the metadata of one image: column of INDEXED_IMAGES -> value.

        Raises:
            SearchError: the index does not contain the image.
        """
        metadata: dict[str, Any] = self.index.table.slice(self.find_row(image_id), 1).to_pylist()[0]
        return metadata

    def find_row(self, image: ImageReference) -> int | None:
        """Return the row number of an image in the index, or None for an image file that is not in the index.

        Raises:
            SearchError: the index does not contain an image with this ID.
        """
        if isinstance(image, bytes):
            return self.index.find_row_by_content(hashlib.sha256(image).hexdigest())
        row = self.index.find_row(image)
        if row is None:
            raise SearchError(f"The index has no image {image!r}. Use an ID from a search result, or index the image.")
        return row

    @cached_property
    def _text_encoder(self) -> TextQueryEncoder:
        return TextQueryEncoder(self.encoders)

    @cached_property
    def _threads(self) -> ThreadpoolController:
        """Controller that limits NumPy and FAISS to one thread, so that they leave the CPU cores to the encoders."""
        return ThreadpoolController()

    @cached_property
    def _allowed_rows(self) -> Callable[[Filters], Rows | None]:
        """A cached version of `allowed_rows`. Consecutive queries often have the same filters."""
        return lru_cache(maxsize=_FILTER_CACHE_SIZE)(partial(allowed_rows, self.index.table))

    @cached_property
    def _sorted_rows(self) -> Callable[[Filters, Sort], Rows]:
        """A cached version of `sorted_rows`. The pages of a collection are slices of the same array."""
        return lru_cache(maxsize=_FILTER_CACHE_SIZE)(partial(sorted_rows, self.index.table))

    @cached_property
    def _facets(self) -> Callable[[Filters], Facets]:
        """A cached version of `count_facets`."""
        return lru_cache(maxsize=_FACET_CACHE_SIZE)(partial(count_facets, self.index.table))

    def _browse(self, query: Query, k: int, offset: int) -> list[Match]:
        """Return one page of the images that pass the filters, in the order of the query."""
        rows = self._sorted_rows(query.filters, query.order)[offset : offset + k]
        unknown = np.full(len(rows), np.nan)
        return make_matches(self.index.table, Ranked(rows, unknown.astype(np.float32), unknown), [0] * len(rows))

    @cached_property
    def _deep_ranking(self) -> Callable[[Query, int], Ranking]:
        """A function that ranks the first n images of a query. It keeps the last rankings for the next pages."""
        return lru_cache(maxsize=_DEEP_CACHE_SIZE)(lambda query, n: self._rank_many([query], n)[0])

    def _take_page(self, ranking: Ranking, k: int, offset: int) -> list[Match]:
        """Return the matches of one page of a ranking."""
        page = slice(offset, offset + k)
        ranked = ranking.ranked.take(np.arange(len(ranking.n_duplicates))[page])
        words = ranking.candidates.find_words(ranked.rows)
        return make_matches(self.index.table, ranked, ranking.n_duplicates[page], words)

    def _rank_many(self, queries: Sequence[Query], n: int) -> list[Ranking]:
        """Rank the first n images of each query."""
        texts = self._text_encoder([term.text for query in queries for term in query.terms if term.text is not None])
        needed = [max(n, self.rerank, _n_to_sort(query)) for query in queries]
        candidates = [self._find_candidates(query, texts, m) for query, m in zip(queries, needed, strict=True)]
        relevances = self._predict(candidates, texts)
        return [self._rank(nearest, scores, n) for nearest, scores in zip(candidates, relevances, strict=True)]

    def _find_candidates(self, query: Query, texts: PendingTexts, n: int) -> Candidates:
        """Find the candidates of a query once the search encoder has finished. Other encoders may still be running."""
        encoder = self.index.encoder

        def embed_term(term: Term) -> tuple[Vectors, int | None]:
            if term.text is not None:
                return texts.vector(term.text, encoder), None
            image = term.content if term.content is not None else term.image_id or ""
            row = self.find_row(image)
            if isinstance(image, bytes) and row is None:
                return self.image_encoder(image, [encoder])[encoder], None
            return self.index.vectors[encoder].take(np.array([row], dtype=np.int64)), row

        if query.filters.min_relevance is not None and not self._is_reranked(query):
            raise SearchError(
                "The filter min_relevance requires predictions of the relevance model. Use a query without images in a "
                "language that the text encoders of the model know, and set index.rerank above 0 in params.yaml."
            )
        vector, query_rows = query_vector(query, embed_term)
        return Candidates(
            self.index,
            query,
            vector,
            query_rows,
            n,
            allowed=self._allowed_rows(query.filters.of_metadata),
            words=self.words,
        )

    def _can_rerank(self, query: Query) -> bool:
        return self.model is not None and self.rerank > 0 and all(term.text is not None for term in query.terms)

    def _is_reranked(self, query: Query) -> bool:
        """Return whether the relevance model reranks the results: all terms are texts whose language it knows."""
        texts = (normalise_text(term.text or "") for term in query.terms)
        return self._can_rerank(query) and not any(map(self._model_languages.find_unknown, texts))

    @cached_property
    def _search_languages(self) -> KnownLanguages:
        """Languages that the search encoder knows."""
        return KnownLanguages.of_encoders([self.encoders[self.index.encoder]])

    @cached_property
    def _model_languages(self) -> KnownLanguages:
        """Languages that all text encoders of the relevance model know."""
        return KnownLanguages.of_encoders(self.encoders.values())

    def _predict(self, candidates: Sequence[Candidates], texts: PendingTexts) -> list[Scores]:
        """Predict the relevance of the first candidates of each query. The array is empty for a query with images.

        Image vectors are read while the encoders are running.
        """
        relevances = [np.empty(0) for _ in candidates]
        tasks = [
            (position, term, nearest.rows[: self.rerank])
            for position, nearest in enumerate(candidates)
            if self._is_reranked(nearest.query)
            for term in nearest.query.terms
        ]
        if self.model is None or not tasks:
            texts.result()  # stores the vectors in the cache
            return relevances
        rows, image_rows = np.unique(np.concatenate([rows for _, _, rows in tasks]), return_inverse=True)
        images = self.index.images(rows)
        encoded = texts.result()
        row_by_text = {text: row for row, text in enumerate(encoded.texts)}
        text_rows = np.concatenate(
            [np.full(len(rows), row_by_text[normalise_text(term.text or "")]) for _, term, rows in tasks]
        )
        predictions = self.model.predict(images, encoded, image_rows, text_rows)
        ends = np.cumsum([len(rows) for _, _, rows in tasks])[:-1]
        for (position, term, _), relevance in zip(tasks, np.split(predictions, ends), strict=True):
            exponent = term.weight / max(abs(other.weight) for other in candidates[position].query.terms)
            factor = relevance**exponent if exponent > 0 else (1 - relevance) ** -exponent
            relevances[position] = relevances[position] * factor if len(relevances[position]) else factor
        return relevances

    def _rank(self, candidates: Candidates, relevances: Scores, n: int) -> Ranking:
        """Rank the first n images, in the order of the query."""
        query = candidates.query
        if query.order in ("relevance", "cosine"):
            return Ranking(*self._best(candidates, relevances, n), candidates)
        ranked, n_duplicates = self._best(candidates, relevances, _n_to_sort(query))
        positions = sort_rows(self.index.table, ranked.rows, query.order)
        return Ranking(ranked.take(positions), np.asarray(n_duplicates)[positions].tolist(), candidates)

    def _best(self, candidates: Candidates, relevances: Scores, n: int) -> tuple[Ranked, list[int]]:
        """Return the best n images, and the number of near-duplicates that each image represents.

        If grouping near-duplicates leaves fewer than n images, more candidates are searched.
        """
        query = candidates.query
        min_relevance, min_cosine = query.filters.min_relevance, query.filters.min_cosine
        bits = self.duplicate_bits if query.fold_duplicates else -1
        rank = rank_by_cosine if query.order == "cosine" else rank_by_relevance
        while True:
            ranked = candidates.fuse_predictions(rank(candidates.rows, candidates.cosines, relevances), len(relevances))
            if min_relevance is not None:
                ranked = ranked.take(np.flatnonzero(ranked.relevances >= min_relevance))
            if min_cosine is not None:
                ranked = ranked.take(np.flatnonzero(ranked.cosines >= min_cosine))
            hashes = self.index.table.select(["phash", "signature"]).take(ranked.rows).to_pydict()
            positions, n_duplicates = group_near_duplicates(hashes["phash"], hashes["signature"], bits)
            is_complete = min_relevance is not None or (
                min_cosine is not None and candidates.max_other_cosine < min_cosine
            )
            if len(positions) >= n or candidates.exhausted or is_complete:
                return ranked.take(positions[:n]), n_duplicates[:n]
            candidates.double()


def _n_to_sort(query: Query) -> int:
    """Return how many of the best images are sorted by date or by name. 0 if the query sorts by relevance or cosine."""
    if query.order in ("relevance", "cosine"):
        return 0
    return SORTED_BEST if query.filters.min_cosine is None else SORTED_MAX

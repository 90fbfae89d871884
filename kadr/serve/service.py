"""The service that the routes call. It runs searches in batches, looks up images, and limits concurrent uploads."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, ParamSpec, TypeVar

from fastapi.concurrency import run_in_threadpool

from kadr.errors import SearchError
from kadr.search import Filters, Match, Query, Searcher, Term, parse_query
from kadr.serve.annotation import Annotation
from kadr.serve.api_models import MAX_OFFSET, SearchMatch, SearchRequest, SearchResponse
from kadr.serve.batching import Batcher
from kadr.serve.hot_reload import HotReload
from kadr.serve.limits import Limits
from kadr.serve.prometheus import ServerMetrics

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_MAX_CONCURRENT_UPLOADS = 2


@dataclass(frozen=True)
class PagedQuery:
    """A query and the range of results to return.

    Attributes:
        query: query to run.
        k: maximum number of images to return.
        offset: number of results to skip before the first returned image.
    """

    query: Query
    k: int
    offset: int = 0


class Service:
    """The state and the operations that all routes of a server share.

    Args:
        hot_reload: object that provides and replaces the searcher in use.
        annotation: object that selects image-text pairs and stores ratings.
        limits: limits on requests and connections.
        metrics: Prometheus metrics to update.
    """

    def __init__(self, hot_reload: HotReload, annotation: Annotation, limits: Limits, metrics: ServerMetrics) -> None:
        self.hot_reload, self.annotation, self.limits, self.metrics = hot_reload, annotation, limits, metrics
        self.batcher = Batcher(self._search_batch)
        self._upload_slots = asyncio.Semaphore(_MAX_CONCURRENT_UPLOADS)
        self.update_metrics()

    @property
    def searcher(self) -> Searcher:
        """The searcher in use."""
        return self.hot_reload.current.searcher

    async def search(self, paged_query: PagedQuery) -> SearchResponse:
        """Run a query and return one page of results.

        Args:
            paged_query: query and range of results.

        Returns:
            The images, best first, and whether there are more results.

        Raises:
            SearchError: the query is invalid.
            InputError: an uploaded image in the query cannot be decoded.
        """
        if any(term.content is not None for term in paged_query.query.terms):
            (matches,) = await self.run_upload_task(self._search_batch, [paged_query])
        else:
            matches = await self.batcher.submit(paged_query)
        k = paged_query.k
        more = len(matches) > k and paged_query.offset + k <= MAX_OFFSET
        return SearchResponse(matches=[_search_match(match) for match in matches[:k]], more=more)

    async def run_upload_task(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Use a worker thread to run a function that decodes an uploaded image.

        At most two of these functions run at the same time, because a decoded image can occupy hundreds
        of MB of memory.

        Args:
            function: function to run.
            *args: positional arguments of the function.
            **kwargs: keyword arguments of the function.

        Returns:
            The return value of the function.
        """
        async with self._upload_slots:
            return await run_in_threadpool(function, *args, **kwargs)

    def get_image(self, image_id: str) -> Mapping[str, Any] | None:
        """Return the metadata of an image, or None if the image is not in the index."""
        try:
            return self.searcher.image_metadata(image_id)
        except SearchError:
            return None

    def get_split(self, image_id: str) -> str | None:
        """Return the split of an image, or None if the image is not in the index or has no split."""
        row = self.get_image(image_id)
        return None if row is None else row["split"]

    def update_metrics(self) -> None:
        """Update the Prometheus metrics that describe the loaded index and models."""
        self.metrics.images.set(len(self.searcher.index.table))
        self.metrics.loaded_at.set(self.hot_reload.current.loaded_at)
        self.metrics.failed_reloads.set(self.hot_reload.n_failed_reloads)

    def _search_batch(self, paged_queries: Sequence[PagedQuery]) -> list[list[Match]]:
        """Run a batch of searches. Return k + 1 matches per query if there are more than k results."""
        self.metrics.batch_size.observe(len(paged_queries))
        searcher = self.searcher
        results: dict[int, list[Match]] = {}
        for (k, offset), positions in _group_by_page(paged_queries).items():
            queries = [paged_queries[position].query for position in positions]
            results.update(zip(positions, searcher.search_many(queries, k + 1, offset), strict=True))
        return [results[position] for position in range(len(paged_queries))]


def _group_by_page(paged_queries: Sequence[PagedQuery]) -> dict[tuple[int, int], list[int]]:
    """Group queries by k and offset. Return the positions of the queries in each group."""
    groups: dict[tuple[int, int], list[int]] = {}
    for position, paged_query in enumerate(paged_queries):
        groups.setdefault((paged_query.k, paged_query.offset), []).append(position)
    return groups


def build_query(request: SearchRequest) -> Query:
    """Convert a search request to a query.

    Args:
        request: validated search request.

    Returns:
        The query. It contains the terms from `request.text`, followed by `request.terms`.

    Raises:
        SearchError: the request contains no terms, or its search expression is invalid.
    """
    filters = Filters(**dict(request.filters))
    text_terms = parse_query(request.text).terms if request.text else ()
    terms = (Term(term.weight, text=term.text, image_id=term.image_id) for term in request.terms)
    return Query((*text_terms, *terms), filters, request.fold_duplicates)


def _search_match(match: Match) -> SearchMatch:
    return SearchMatch(
        image_id=match.image_id,
        name=PurePath(match.path).name,
        score=match.score,
        relevance=match.relevance,
        width=match.width,
        height=match.height,
        n_duplicates=match.n_duplicates,
    )

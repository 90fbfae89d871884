"""The service that the routes call. It runs searches in batches, looks up images, and limits concurrent uploads."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from fastapi.concurrency import run_in_threadpool

from kadr.errors import SearchError
from kadr.search import Match, Query, Searcher
from kadr.search.searcher import DEEP
from kadr.serve.annotation import Annotation
from kadr.serve.batching import Batcher
from kadr.serve.collections import Collections, Favourite, find_favourites
from kadr.serve.duplicate_groups import DuplicateGroups
from kadr.serve.hot_reload import HotReload
from kadr.serve.limits import Limits
from kadr.serve.prometheus import ServerMetrics
from kadr.serve.search_models import MAX_RANKED, SearchFilters, SearchResponse
from kadr.serve.search_requests import search_match
from kadr.serve.thumbnail_cache import ThumbnailCache

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
        collections: favourites and saved searches.
        thumbnails: thumbnails on disk. By default, thumbnails are not stored.
    """

    def __init__(
        self,
        hot_reload: HotReload,
        annotation: Annotation,
        limits: Limits,
        metrics: ServerMetrics,
        collections: Collections,
        *,
        thumbnails: ThumbnailCache | None = None,
    ) -> None:
        self.hot_reload, self.annotation, self.limits, self.metrics = hot_reload, annotation, limits, metrics
        self.collections, self.thumbnails = collections, thumbnails or ThumbnailCache(None)
        self.duplicate_groups = DuplicateGroups()
        self.batcher = Batcher(self._search_batch)
        self._splits: tuple[Searcher | None, Mapping[str, str]] = (None, {})
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
            The images, whether there are more results, and the number of images that pass the filters.

        Raises:
            SearchError: the query is invalid.
            InputError: an uploaded image in the query cannot be decoded.
        """
        query, k, offset = paged_query.query, paged_query.k, paged_query.offset
        if query.terms and offset >= MAX_RANKED:
            raise SearchError(f"The offset is {offset}, expected less than {MAX_RANKED:,} for a query. Add a filter.")
        if any(term.content is not None for term in query.terms):
            ((matches, n_images),) = await self.run_upload_task(self._search_batch, [paged_query])
        elif not query.terms or offset >= DEEP:  # other searches of a batch should not wait for it
            ((matches, n_images),) = await run_in_threadpool(self._search_batch, [paged_query])
        else:
            matches, n_images = await self.batcher.submit(paged_query)
        return SearchResponse(
            matches=[search_match(match) for match in matches[:k]],
            more=len(matches) > k and (not query.terms or offset + k < MAX_RANKED),
            n_images=n_images,
        )

    def favourite_ids(self, filters: SearchFilters) -> frozenset[str] | None:
        """Return the IDs of the favourite images in the index if the filters need them, and None otherwise.

        Raises:
            DiskError: the favourites cannot be read.
        """
        if not filters.favourites:
            return None
        return frozenset(self.find_favourites())

    def find_favourites(self) -> Mapping[str, Favourite]:
        """Return the favourites that are in the index: image ID -> favourite.

        Raises:
            DiskError: the favourites cannot be read.
        """
        return find_favourites(self.collections.favourites(), self.searcher.index.table)

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
        await self._upload_slots.acquire()
        task = asyncio.ensure_future(run_in_threadpool(function, *args, **kwargs))
        task.add_done_callback(lambda _: self._upload_slots.release())
        return await asyncio.shield(task)  # a cancelled request keeps its slot until the function ends

    def get_image(self, image_id: str) -> Mapping[str, Any] | None:
        """Return the metadata of an image, or None if the image is not in the index."""
        try:
            return self.searcher.image_metadata(image_id)
        except SearchError:
            return None

    def get_split(self, image_id: str) -> str | None:
        """Return the split of an image, or None if the image is not in the index or has no split."""
        return self.splits.get(image_id)

    @property
    def splits(self) -> Mapping[str, str]:
        """Map the ID of every image that has a split to its split."""
        searcher, (known_searcher, splits) = self.searcher, self._splits
        if searcher is not known_searcher:
            splits = read_splits(searcher.index.table)
            self._splits = (searcher, splits)
        return splits

    def update_metrics(self) -> None:
        """Update the Prometheus metrics that describe the loaded index and models."""
        self.metrics.images.set(len(self.searcher.index.table))
        self.metrics.loaded_at.set(self.hot_reload.current.loaded_at)
        self.metrics.failed_reloads.set(self.hot_reload.n_failed_reloads)

    def _search_batch(self, paged_queries: Sequence[PagedQuery]) -> list[tuple[list[Match], int]]:
        """Run a batch of searches. Return k + 1 matches per query if there are more than k results.

        Each result also contains the number of images that pass the filters of the query.
        """
        self.metrics.batch_size.observe(len(paged_queries))
        searcher = self.searcher
        results: dict[int, list[Match]] = {}
        for (k, offset), positions in _group_by_page(paged_queries).items():
            queries = [paged_queries[position].query for position in positions]
            results.update(zip(positions, searcher.search_many(queries, k + 1, offset), strict=True))
        counts = [searcher.count(paged_query.query) for paged_query in paged_queries]
        return [(results[position], n_images) for position, n_images in enumerate(counts)]


def _group_by_page(paged_queries: Sequence[PagedQuery]) -> dict[tuple[int, int], list[int]]:
    """Group queries by k and offset. Return the positions of the queries in each group."""
    groups: dict[tuple[int, int], list[int]] = {}
    for position, paged_query in enumerate(paged_queries):
        groups.setdefault((paged_query.k, paged_query.offset), []).append(position)
    return groups


def read_splits(table: pa.Table) -> dict[str, str]:
    """Return the splits of the images that have one: image ID -> split."""
    known = table.filter(pc.is_valid(table["split"]))
    return dict(zip(known["image_id"].to_pylist(), known["split"].to_pylist(), strict=True))

"""The asynchronous client of a kadr server."""

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

import httpx

from kadr.client import calls
from kadr.client.calls import Call, ImageFile, Sort, ThumbnailSide
from kadr.client.models import (
    AnnotationPairsResponse,
    DuplicatesResponse,
    FacetsResponse,
    FavouritesResponse,
    HealthResponse,
    ImageMetadata,
    RaterRatingsResponse,
    RatingRequest,
    RatingResponse,
    SavedSearchRequest,
    SavedSearchResponse,
    SearchFilters,
    SearchMatch,
    SearchRequest,
    SearchResponse,
    SearchTerm,
)

Result = TypeVar("Result")


class AsyncClient:
    """An asynchronous client of a kadr server, with the methods of `Client` as coroutines.

    Use the client in an `async with` statement, or call `aclose`.

    Args:
        url: address of the server.
        token: access token of the server, if it was started with one.
        timeout: maximum number of seconds to wait for the server.
        transport: transport of httpx, e.g. to connect through a proxy.

    Raises:
        ClientError: a request failed. See `kadr.client.errors` for the kinds of errors.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        token: str | None = None,
        *,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = url
        self._http = httpx.AsyncClient(**calls.settings(url, token, timeout), transport=transport)

    async def search(
        self,
        text: str = "",
        *,
        terms: Sequence[SearchTerm] = (),
        filters: SearchFilters | None = None,
        sort: Sort | None = None,
        fold_duplicates: bool = True,
        k: int = 20,
        offset: int = 0,
    ) -> SearchResponse:
        """Search for images by text, by images in the index, or by both. Without them, return the newest images.

        Args:
            text: search expression, in the syntax of `kadr search`, e.g. "dog + 2*snow - people".
            terms: weighted texts and image IDs to search for in addition to `text`.
            filters: conditions that every result must meet.
            sort: order of the results. None sorts by relevance, and without a query newest first.
            fold_duplicates: whether to return only one image per group of near-duplicates.
            k: maximum number of images to return, at most 200.
            offset: number of results to skip.
        """
        request = SearchRequest(
            text=text,
            terms=list(terms),
            filters=filters or SearchFilters(),
            sort=sort,
            fold_duplicates=fold_duplicates,
            k=k,
            offset=offset,
        )
        return await self._send(calls.search(request))

    async def iter_search(
        self,
        text: str = "",
        *,
        terms: Sequence[SearchTerm] = (),
        filters: SearchFilters | None = None,
        sort: Sort | None = None,
        fold_duplicates: bool = True,
        page_size: int = 100,
    ) -> AsyncIterator[SearchMatch]:
        """Yield all results of a search. The pages are requested when they are needed.

        Args:
            text: search expression, in the syntax of `kadr search`.
            terms: weighted texts and image IDs to search for in addition to `text`.
            filters: conditions that every result must meet.
            sort: order of the results. None sorts by relevance, and without a query newest first.
            fold_duplicates: whether to return only one image per group of near-duplicates.
            page_size: number of images per request, at most 200.
        """
        offset = 0
        while True:
            page = await self.search(
                text,
                terms=terms,
                filters=filters,
                sort=sort,
                fold_duplicates=fold_duplicates,
                k=page_size,
                offset=offset,
            )
            for match in page.matches:
                yield match
            if not page.more:
                return
            offset += len(page.matches)

    async def similar(
        self,
        image: str | ImageFile,
        *,
        text: str = "",
        terms: Sequence[SearchTerm] = (),
        filters: SearchFilters | None = None,
        sort: Sort | None = None,
        fold_duplicates: bool = True,
        k: int = 20,
        offset: int = 0,
    ) -> SearchResponse:
        """Search for images that are similar to an image.

        Args:
            image: ID of an image in the index as a str, or an image file as bytes or Path.
            text: search expression to add to the image, e.g. "at night".
            terms: weighted texts and image IDs to add to the image.
            filters: conditions that every result must meet.
            sort: order of the results.
            fold_duplicates: whether to return only one image per group of near-duplicates.
            k: maximum number of images to return, at most 200.
            offset: number of results to skip.
        """
        return await self._send(
            calls.similar(
                image,
                text=text,
                terms=terms,
                filters=filters,
                sort=sort,
                fold_duplicates=fold_duplicates,
                k=k,
                offset=offset,
            )
        )

    async def score(self, image: ImageFile, text: str) -> float:
        """Predict the relevance of an image file for a text, 0 to 1.

        Args:
            image: image file as bytes or Path.
            text: a query or a caption.
        """
        return await self._send(calls.score(image, text))

    async def metadata(self, image_id: str) -> ImageMetadata:
        """Return the path, size, date, place, camera, colours and texts of an image."""
        return await self._send(calls.metadata(image_id))

    async def facets(self, filters: SearchFilters | None = None) -> FacetsResponse:
        """Count the images that pass the filters by folder, month, camera, colour and place."""
        return await self._send(calls.facets(filters))

    async def image(self, image_id: str, *, original: bool = False) -> bytes:
        """Return an image file. A format that browsers cannot display is converted to JPEG.

        Args:
            image_id: ID of an image in the index.
            original: whether to return the file as it is, without conversion.
        """
        return await self._send(calls.image(image_id, original=original))

    async def thumbnail(self, image_id: str, side: ThumbnailSide = 320) -> bytes:
        """Return a thumbnail as a JPEG file.

        Args:
            image_id: ID of an image in the index.
            side: length of the longer side in pixels.
        """
        return await self._send(calls.thumbnail(image_id, side))

    async def download(self, image_ids: Sequence[str]) -> bytes:
        """Return a zip file with the original files of several images."""
        return await self._send(calls.download(image_ids))

    async def duplicates(self, *, k: int = 20, offset: int = 0) -> DuplicatesResponse:
        """Return groups of near-duplicate images, the largest groups first.

        Args:
            k: maximum number of groups to return.
            offset: number of groups to skip.
        """
        return await self._send(calls.duplicates(k, offset))

    async def favourites(self) -> FavouritesResponse:
        """Return the IDs of the favourite images."""
        return await self._send(calls.favourites())

    async def add_favourite(self, image_id: str) -> None:
        """Add an image to the favourites."""
        await self._send(calls.add_favourite(image_id))

    async def remove_favourite(self, image_id: str) -> None:
        """Remove an image from the favourites."""
        await self._send(calls.remove_favourite(image_id))

    async def saved_searches(self) -> list[SavedSearchResponse]:
        """Return all saved searches, sorted by name."""
        return await self._send(calls.saved_searches())

    async def save_search(
        self,
        name: str,
        text: str = "",
        *,
        terms: Sequence[SearchTerm] = (),
        filters: SearchFilters | None = None,
        sort: Sort | None = None,
        fold_duplicates: bool = True,
    ) -> SavedSearchResponse:
        """Save a search under a name. It replaces a search with the same name. The arguments are as in `search`."""
        request = SavedSearchRequest(
            text=text,
            terms=list(terms),
            filters=filters or SearchFilters(),
            sort=sort,
            fold_duplicates=fold_duplicates,
        )
        return await self._send(calls.save_search(name, request))

    async def remove_search(self, name: str) -> None:
        """Remove the saved search with this name."""
        await self._send(calls.remove_search(name))

    async def pairs(self, rater: str, text: str = "", *, k: int = 20, cursor: int = 0) -> AnnotationPairsResponse:
        """Return the next pairs of an image and a text for a rater to rate.

        Args:
            rater: name of the rater.
            text: text whose search results are rated. If empty, the server suggests pairs.
            k: maximum number of pairs to return.
            cursor: `next_cursor` of the previous page.
        """
        return await self._send(calls.pairs(rater, text, k, cursor))

    async def ratings(self, rater: str, *, k: int = 20) -> RaterRatingsResponse:
        """Return the last k ratings of a rater, oldest first."""
        return await self._send(calls.ratings(rater, k))

    async def rate(self, image_id: str, text: str, rater: str, rating: float) -> RatingResponse:
        """Store a rating of how well a text fits an image. A new rating of the same pair replaces the old one.

        Args:
            image_id: ID of an image in the index.
            text: the rated text.
            rater: name of the rater.
            rating: rating on the scale of the server, see `steps` of `pairs`.
        """
        request = RatingRequest(image_id=image_id, text=text, rater=rater, rating=rating)
        return await self._send(calls.rate(request))

    async def withdraw(self, image_id: str, text: str, rater: str) -> RatingResponse:
        """Withdraw the rating of a pair by a rater."""
        return await self._send(calls.withdraw(image_id, text, rater))

    async def health(self) -> HealthResponse:
        """Return the state of the server, the index and the models."""
        return await self._send(calls.health())

    async def aclose(self) -> None:
        """Close the connections to the server."""
        await self._http.aclose()

    async def _send(self, call: Call[Result]) -> Result:
        try:
            response = await self._http.request(call.method, call.path, **call.options)
        except httpx.TransportError as error:
            raise calls.connection_failed(self.url, error) from error
        calls.check(response)
        return call.read(response)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

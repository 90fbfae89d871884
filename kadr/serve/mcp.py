"""An MCP server (Model Context Protocol), with which language models search the images of an index."""

import asyncio
import base64
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from threading import Thread
from typing import Annotated, Any, ParamSpec, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ContentBlock, ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from kadr import __version__
from kadr.errors import InputError, KadrError
from kadr.search import Query, Searcher, Sort, Term
from kadr.serve.api_models import ImageMetadata
from kadr.serve.hot_reload import RELOAD_INTERVAL_S, HotReload
from kadr.serve.image_responses import ThumbnailSide, check_upload, load_thumbnail
from kadr.serve.limits import Limits
from kadr.serve.search_models import FacetsResponse, SearchFilters, SearchMatch, SearchRequest
from kadr.serve.search_requests import build_filters, build_query, image_metadata, search_match
from kadr.serve.thumbnail_cache import ThumbnailCache

MAX_K = 50
"""Maximum number of results of one call. Results fill the context of the language model."""

MAX_SHOWN = 10
"""Maximum number of thumbnails of one call."""

_INSTRUCTIONS = (
    "Search a local collection of images. Search by a short description of what an image shows, such as 'two dogs in "
    "the snow', and narrow the results by filters. Results name images by image_id, which the other tools accept. Use "
    "show_images to look at images before you describe them."
)
_READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

ImageId = Annotated[str, Field(description="image_id from a result")]
K = Annotated[int, Field(ge=1, le=MAX_K, description="maximum number of images to return")]
Offset = Annotated[int, Field(ge=0, description="number of results to skip")]
Filters = Annotated[SearchFilters, Field(description="conditions that every result must meet")]
Thumbnails = Annotated[bool, Field(description=f"whether to also return thumbnails of the first {MAX_SHOWN} results")]


class FoundImages(BaseModel):
    """The results of a search, in their order."""

    images: list[SearchMatch]
    more: bool = Field(description="whether there are more results")
    n_images: int = Field(description="number of images that pass the filters")
    read_as: str | None = Field(None, description="how the text was read, if it was read as several terms")
    hints: list[str] = Field([], description="parts of the text that could be meant in another way")


class Relevance(BaseModel):
    """The predicted relevance of an image for a text."""

    relevance: float = Field(description="0 to 1")


class ShownImages(BaseModel):
    """The images whose thumbnails follow, in the same order."""

    image_ids: list[str]


def create_mcp_server(load: Callable[[], HotReload], thumbnails: ThumbnailCache) -> MCPServer[None]:
    """Create the MCP server, and load the searcher in the background.

    The server answers immediately, because the hosts of language models give up if a server is slow to start. The
    first call of a tool waits until the searcher is loaded.

    Args:
        load: function that loads the object that provides and replaces the searcher in use.
        thumbnails: thumbnails on disk.
    """
    loading: Future[HotReload] = Future()
    Thread(target=_load, args=(load, loading)).start()  # no daemon: libraries abort if they are stopped while they load
    tools = _Tools(loading, thumbnails)
    server: MCPServer[None] = MCPServer(
        "kadr",
        title="kadr image search",
        version=__version__,
        instructions=_INSTRUCTIONS,
        log_level="WARNING",
        lifespan=functools.partial(_reload_periodically, loading),
    )
    for tool in (
        tools.search_images,
        tools.similar_images,
        tools.score_image,
        tools.image_facts,
        tools.show_images,
        tools.count_images,
    ):
        server.add_tool(_report_errors(tool), annotations=_READ_ONLY)
    return server


def _load(load: Callable[[], HotReload], loading: "Future[HotReload]") -> None:
    try:
        loading.set_result(load())
    except Exception as error:  # every call of a tool reports the error
        loading.set_exception(error)


@contextlib.asynccontextmanager
async def _reload_periodically(loading: "Future[HotReload]", _server: MCPServer[None]) -> AsyncIterator[None]:
    async def reload() -> None:
        while True:
            await asyncio.sleep(RELOAD_INTERVAL_S)
            if loading.done() and loading.exception() is None:
                await asyncio.to_thread(loading.result().reload_if_changed)

    task = asyncio.create_task(reload())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _report_errors(tool: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return a tool that reports a KadrError to the language model, which can then correct its arguments."""

    @functools.wraps(tool)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            return tool(*args, **kwargs)
        except KadrError as error:
            raise ToolError(str(error)) from error

    return call


class _Tools:
    """The tools of the MCP server. The docstrings and the descriptions of the arguments are part of the protocol."""

    def __init__(self, loading: "Future[HotReload]", thumbnails: ThumbnailCache) -> None:
        self._loading, self._thumbnails = loading, thumbnails

    @property
    def _searcher(self) -> Searcher:
        return self._loading.result().current.searcher

    def search_images(
        self,
        *,
        text: Annotated[
            str,
            Field(
                max_length=500,
                description="description of the images, e.g. 'two dogs in the snow' or 'dog + 2*snow - people'. An "
                "empty text returns all images that pass the filters, newest first",
            ),
        ] = "",
        filters: Filters = SearchFilters(),  # noqa: B008
        sort: Annotated[Sort | None, Field(description="order of the results; null for the best results first")] = None,
        k: K = 10,
        offset: Offset = 0,
        thumbnails: Thumbnails = False,
    ) -> Annotated[CallToolResult, FoundImages]:
        """Search for images by a description of what they show, or list the images that pass filters."""
        query = build_query(SearchRequest(text=text, filters=filters, sort=sort))
        return self._find(text, query, k, offset, thumbnails=thumbnails)

    def similar_images(
        self,
        *,
        image_id: Annotated[str | None, Field(description="image_id from a result")] = None,
        path: Annotated[str | None, Field(description="path of a local image file, instead of image_id")] = None,
        filters: Filters = SearchFilters(),  # noqa: B008
        k: K = 10,
        offset: Offset = 0,
        thumbnails: Thumbnails = False,
    ) -> Annotated[CallToolResult, FoundImages]:
        """Search for images that look like an image."""
        if (image_id is None) == (path is None):
            raise InputError("Name either image_id or path, and not both.")
        if image_id is not None:
            self._searcher.find_row(image_id)
        content = None if path is None else _read_image(path)
        query = Query((Term(1.0, image_id=image_id, content=content),), build_filters(filters))
        return self._find("", query, k, offset, thumbnails=thumbnails)

    def score_image(
        self, image_id: ImageId, text: Annotated[str, Field(min_length=1, max_length=500, description="a description")]
    ) -> Relevance:
        """Predict how well a text describes an image. Works only if a relevance model was trained."""
        return Relevance(relevance=self._searcher.score(image_id, text))

    def image_facts(self, image_id: ImageId) -> ImageMetadata:
        """Return the path, size, date, place, camera, colours and texts of an image."""
        return image_metadata(self._searcher.image_metadata(image_id))

    def show_images(
        self,
        image_ids: Annotated[
            list[str], Field(min_length=1, max_length=MAX_SHOWN, description="image_ids from results")
        ],
        side: Annotated[ThumbnailSide, Field(description="longer side in pixels")] = ThumbnailSide.LARGE,
    ) -> Annotated[CallToolResult, ShownImages]:
        """Return thumbnails of images, to look at them."""
        return _result(ShownImages(image_ids=image_ids), [self._show(image_id, side) for image_id in image_ids])

    def count_images(self, filters: Filters = SearchFilters()) -> FacetsResponse:  # noqa: B008
        """Count images by folder, month, camera, colour and place, e.g. to find out what the collection contains."""
        return FacetsResponse.model_validate(asdict(self._searcher.facets(build_filters(filters))))

    def _find(self, text: str, query: Query, k: int, offset: int, *, thumbnails: bool) -> CallToolResult:
        searcher = self._searcher
        matches = [search_match(match) for match in searcher.search(query, k + 1, offset)]
        found = FoundImages(images=matches[:k], more=len(matches) > k, n_images=searcher.count(query))
        if any(term.text is not None for term in query.terms):
            reading = searcher.explain(text, query)
            found = found.model_copy(update={"read_as": reading.read_as, "hints": list(reading.hints)})
        shown = [match.image_id for match in found.images[:MAX_SHOWN]] if thumbnails else []
        return _result(found, [self._show(image_id, ThumbnailSide.SMALL) for image_id in shown])

    def _show(self, image_id: str, side: ThumbnailSide) -> ContentBlock:
        """Return the thumbnail of an image, or a text that says why there is none."""
        row = self._searcher.image_metadata(image_id)
        try:
            image = load_thumbnail(row["path"], side, row["sha256"], self._thumbnails, webp=False)
            content = image.content if isinstance(image.content, bytes) else image.content.read_bytes()
        except (InputError, OSError) as error:
            return TextContent(text=f"{image_id}: {error}")
        return ImageContent(data=base64.b64encode(content).decode(), mime_type=image.media_type)


def _result(value: BaseModel, content: Sequence[ContentBlock]) -> CallToolResult:
    """Return a structured result, as text for clients without structured results, followed by further content."""
    structured: dict[str, Any] = value.model_dump(mode="json")
    return CallToolResult(content=[TextContent(text=value.model_dump_json()), *content], structured_content=structured)


def _read_image(path: str) -> bytes:
    try:
        content = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the image cannot be read ({error.strerror}). Check the path.") from error
    check_upload(content, Limits().max_image_pixels)
    return content

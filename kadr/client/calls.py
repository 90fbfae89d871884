"""The calls of the HTTP API: the request of each call, and how its response is read. Both clients use them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from kadr.client.errors import ConnectionFailedError, response_error
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
    SavedSearchesResponse,
    SavedSearchRequest,
    SavedSearchResponse,
    ScoreResponse,
    SearchFilters,
    SearchRequest,
    SearchResponse,
    SearchTerm,
)
from kadr.errors import ClientError

Sort = Literal["relevance", "cosine", "newest", "oldest", "name"]
"""Order of the results."""

ThumbnailSide = Literal[160, 320, 640, 1280]
"""Length of the longer side of a thumbnail in pixels."""

ImageFile = bytes | Path
"""Content or path of an image file."""

Result = TypeVar("Result")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Call(Generic[Result]):
    """A request to the server.

    Attributes:
        method: HTTP method.
        path: path of the route, quoted.
        read: function that reads the successful response.
        options: further arguments of `httpx.Client.request`, such as json.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], Result]
    options: Mapping[str, Any] = field(default_factory=dict)


def search(request: SearchRequest) -> Call[SearchResponse]:
    """Return the call of `POST /search`."""
    return Call("POST", "search", _reader(SearchResponse), {"json": _to_json(request)})


def similar(
    image: str | ImageFile,
    *,
    text: str,
    terms: Sequence[SearchTerm],
    filters: SearchFilters | None,
    sort: Sort | None,
    fold_duplicates: bool,
    k: int,
    offset: int,
) -> Call[SearchResponse]:
    """Return the call of `POST /similar`.

    Args:
        image: ID of an image in the index as a str, or an image file as bytes or Path.
        text: search expression to add to the image.
        terms: weighted terms to add to the image.
        filters: conditions that every result must meet.
        sort: order of the results.
        fold_duplicates: whether to return only one image per group of near-duplicates.
        k: maximum number of images to return.
        offset: number of results to skip.
    """
    data: dict[str, str] = {"k": str(k), "offset": str(offset), "fold_duplicates": json.dumps(fold_duplicates)}
    if text:
        data["text"] = text
    if terms:
        data["terms"] = json.dumps([_to_json(term) for term in terms])
    if filters is not None:
        data["filters"] = json.dumps(_to_json(filters))
    if sort is not None:
        data["sort"] = sort
    if isinstance(image, str):
        data["image_id"] = image
        files = {name: (None, value) for name, value in data.items()}  # multipart without a file
        return Call("POST", "similar", _reader(SearchResponse), {"files": files})
    return Call("POST", "similar", _reader(SearchResponse), {"data": data, "files": {"image": _upload(image)}})


def score(image: ImageFile, text: str) -> Call[float]:
    """Return the call of `POST /score`."""
    options = {"data": {"text": text}, "files": {"image": _upload(image)}}
    read = _reader(ScoreResponse)
    return Call("POST", "score", lambda response: read(response).relevance, options)


def metadata(image_id: str) -> Call[ImageMetadata]:
    """Return the call of `GET /metadata/{image_id}`."""
    return Call("GET", f"metadata/{_quote(image_id)}", _reader(ImageMetadata))


def image(image_id: str, *, original: bool) -> Call[bytes]:
    """Return the call of `GET /images/{image_id}`."""
    return Call("GET", f"images/{_quote(image_id)}", _read_content, {"params": {"original": original}})


def thumbnail(image_id: str, side: ThumbnailSide) -> Call[bytes]:
    """Return the call of `GET /thumbnails/{image_id}`."""
    return Call("GET", f"thumbnails/{_quote(image_id)}", _read_content, {"params": {"side": side}})


def facets(filters: SearchFilters | None) -> Call[FacetsResponse]:
    """Return the call of `POST /facets`."""
    body = {"filters": _to_json(filters or SearchFilters())}
    return Call("POST", "facets", _reader(FacetsResponse), {"json": body})


def duplicates(k: int, offset: int) -> Call[DuplicatesResponse]:
    """Return the call of `GET /duplicates`."""
    return Call("GET", "duplicates", _reader(DuplicatesResponse), {"params": {"k": k, "offset": offset}})


def download(image_ids: Sequence[str]) -> Call[bytes]:
    """Return the call of `POST /download`."""
    return Call("POST", "download", _read_content, {"json": {"image_ids": list(image_ids)}})


def favourites() -> Call[FavouritesResponse]:
    """Return the call of `GET /favourites`."""
    return Call("GET", "favourites", _reader(FavouritesResponse))


def add_favourite(image_id: str) -> Call[None]:
    """Return the call of `PUT /favourites/{image_id}`."""
    return Call("PUT", f"favourites/{_quote(image_id)}", _ignore)


def remove_favourite(image_id: str) -> Call[None]:
    """Return the call of `DELETE /favourites/{image_id}`."""
    return Call("DELETE", f"favourites/{_quote(image_id)}", _ignore)


def saved_searches() -> Call[list[SavedSearchResponse]]:
    """Return the call of `GET /searches`."""
    read = _reader(SavedSearchesResponse)
    return Call("GET", "searches", lambda response: read(response).searches)


def save_search(name: str, request: SavedSearchRequest) -> Call[SavedSearchResponse]:
    """Return the call of `PUT /searches/{name}`."""
    return Call("PUT", f"searches/{_quote(name)}", _reader(SavedSearchResponse), {"json": _to_json(request)})


def remove_search(name: str) -> Call[None]:
    """Return the call of `DELETE /searches/{name}`."""
    return Call("DELETE", f"searches/{_quote(name)}", _ignore)


def pairs(rater: str, text: str, k: int, cursor: int) -> Call[AnnotationPairsResponse]:
    """Return the call of `GET /annotation/pairs`."""
    params = {"rater": rater, "text": text, "k": k, "cursor": cursor}
    return Call("GET", "annotation/pairs", _reader(AnnotationPairsResponse), {"params": params})


def ratings(rater: str, k: int) -> Call[RaterRatingsResponse]:
    """Return the call of `GET /annotation/ratings`."""
    return Call("GET", "annotation/ratings", _reader(RaterRatingsResponse), {"params": {"rater": rater, "k": k}})


def rate(request: RatingRequest) -> Call[RatingResponse]:
    """Return the call of `POST /annotation/ratings`."""
    return Call("POST", "annotation/ratings", _reader(RatingResponse), {"json": _to_json(request)})


def withdraw(image_id: str, text: str, rater: str) -> Call[RatingResponse]:
    """Return the call of `DELETE /annotation/ratings`."""
    params = {"image_id": image_id, "text": text, "rater": rater}
    return Call("DELETE", "annotation/ratings", _reader(RatingResponse), {"params": params})


def health() -> Call[HealthResponse]:
    """Return the call of `GET /health`."""
    return Call("GET", "health", _reader(HealthResponse))


def settings(url: str, token: str | None, timeout: float) -> dict[str, Any]:
    """Return the arguments of `httpx.Client` and `httpx.AsyncClient`."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return {"base_url": url, "headers": headers, "timeout": timeout}


def check(response: httpx.Response) -> None:
    """Raise ResponseError if a response is an error. The body of the response must have been read."""
    if response.is_success:
        return
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):  # not an answer of kadr, but of a proxy in front of it
        detail = response.text[:200].strip() or response.reason_phrase
    raise response_error(response.status_code, detail)


def connection_failed(url: str, error: Exception) -> ConnectionFailedError:
    """Return the error for a server that does not answer."""
    reason = str(error) or type(error).__name__
    return ConnectionFailedError(
        f"{url}: the server does not answer ({reason}). Start it with `kadr serve`, correct the address, or increase "
        "the timeout."
    )


def _reader(model: type[Model]) -> Callable[[httpx.Response], Model]:
    def read(response: httpx.Response) -> Model:
        try:
            return model.model_validate_json(response.content)
        except ValueError as error:
            raise ClientError(
                f"{response.url}: the response is not a {model.__name__} ({error}). Use a client and a server of the "
                "same version of kadr."
            ) from error

    return read


def _read_content(response: httpx.Response) -> bytes:
    return response.content


def _ignore(_response: httpx.Response) -> None:
    return None


def _to_json(model: BaseModel) -> Any:
    return model.model_dump(mode="json", exclude_defaults=True)


def _upload(image: ImageFile) -> tuple[str, bytes]:
    """Return the name and the content of a file to upload. The server does not use the name."""
    if isinstance(image, bytes):
        return "image", image
    try:
        return "image", image.read_bytes()
    except OSError as error:
        raise ClientError(f"{image}: the image cannot be read ({error.strerror}). Check the path.") from error


def _quote(value: str) -> str:
    return quote(value, safe="")

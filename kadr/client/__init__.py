"""The Python client of a kadr server, synchronous and asynchronous."""

try:
    import httpx as _httpx  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "kadr.Client needs the package httpx, which is not installed. Install it with `pip install 'kadr[client]'`.",
        name="httpx",
    ) from error

from kadr.client.async_client import AsyncClient
from kadr.client.client import Client
from kadr.client.errors import (
    ConnectionFailedError,
    InvalidRequestError,
    NotFoundError,
    ResponseError,
    ServerError,
    UnauthorizedError,
)
from kadr.client.models import BoxFilter, PlaceFilter, SearchFilters, SearchMatch, SearchResponse, SearchTerm
from kadr.errors import ClientError

__all__ = [
    "AsyncClient",
    "BoxFilter",
    "Client",
    "ClientError",
    "ConnectionFailedError",
    "InvalidRequestError",
    "NotFoundError",
    "PlaceFilter",
    "ResponseError",
    "SearchFilters",
    "SearchMatch",
    "SearchResponse",
    "SearchTerm",
    "ServerError",
    "UnauthorizedError",
]

"""Errors of the Python client.

ClientError (kadr.errors)
├── ConnectionFailedError     the server cannot be reached, or does not answer in time
└── ResponseError             the server answers with an error
    ├── UnauthorizedError     the access token is missing or wrong
    ├── NotFoundError         the server has no such image, saved search or rating
    ├── InvalidRequestError   a value in the request is invalid, or the request is too large
    └── ServerError           the server cannot answer now, or has a bug
"""

from http import HTTPStatus

from kadr.errors import ClientError


class ConnectionFailedError(ClientError):
    """The server cannot be reached, or does not answer in time."""


class ResponseError(ClientError):
    """The server answers with an error.

    Attributes:
        status: HTTP status code.
        detail: message of the server, which says what is wrong and how to fix it.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{detail} (status {status})")
        self.status, self.detail = status, detail


class UnauthorizedError(ResponseError):
    """The access token is missing or wrong."""


class NotFoundError(ResponseError):
    """The server has no such image, saved search or rating."""


class InvalidRequestError(ResponseError):
    """A value in the request is invalid, or the request is too large."""


class ServerError(ResponseError):
    """The server cannot answer now, or has a bug."""


def response_error(status: int, detail: str) -> ResponseError:
    """Return the error for a response with a status code of at least 400."""
    if status == HTTPStatus.UNAUTHORIZED:
        return UnauthorizedError(status, detail)
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(status, detail)
    return (ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else InvalidRequestError)(status, detail)

"""Middleware for HTTP conventions that the routes do not follow themselves: HEAD requests and errors as JSON."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """ASGI middleware that answers a HEAD request like a GET request, but without the response body.

    Args:
        app: ASGI application whose routes accept GET.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application. Send the headers of the response to a HEAD request, but an empty body."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app({**scope, "method": "GET"}, receive, send_without_body)


class JsonErrorMiddleware:
    """ASGI middleware that replaces the plain-text errors of other middleware with `{"detail": ...}`.

    Args:
        app: ASGI application that can send plain-text errors.
        details: text of an error -> message that says what is wrong and what to do. Other texts are kept.
    """

    def __init__(self, app: ASGIApp, details: Mapping[str, str]) -> None:
        self.app, self.details = app, details

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and replace a plain-text error with JSON."""
        start: Message | None = None
        text = b""

        async def send_json_errors(message: Message) -> None:
            nonlocal start, text
            if message["type"] == "http.response.start" and _is_text_error(message):
                start = message
            elif start is None:
                await send(message)
            else:
                text += message.get("body", b"")
                if not message.get("more_body", False):
                    detail = text.decode(errors="replace") or f"{HTTPStatus(start['status']).phrase}."
                    headers = {
                        name: value
                        for name, value in Headers(raw=start["headers"]).items()
                        if name not in {"content-length", "content-type"}
                    }
                    response = JSONResponse({"detail": self.details.get(detail, detail)}, start["status"], headers)
                    await response(scope, receive, send)

        await self.app(scope, receive, send_json_errors)


def _is_text_error(start: Message) -> bool:
    """Return whether a message starts the response of a plain-text error."""
    content_type = Headers(raw=start["headers"]).get("content-type", "")
    return bool(start["status"] >= 400) and content_type.startswith("text/plain")

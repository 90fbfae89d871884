"""Limits of one request: body size, image size, response time and number of connections."""

import asyncio
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Limits:
    """Limits of the server.

    Attributes:
        max_body_bytes: maximum size of a request body. A larger body gets status 413 before it is read completely.
        max_image_pixels: maximum width times height of an uploaded image, read from the header before decoding.
        request_timeout_s: maximum seconds from the start of a request to the start of its response.
        max_connections: maximum number of open connections. Any further connection gets status 503.
        shutdown_timeout_s: seconds that open requests have to finish when the server stops.
    """

    max_body_bytes: int = 20_000_000
    max_image_pixels: int = 50_000_000
    request_timeout_s: float = 30.0
    max_connections: int = 512
    shutdown_timeout_s: int = 10


class TimeoutMiddleware:
    """ASGI middleware that sends status 504 if a response has not started in time.

    A response that has started is never interrupted.

    Args:
        app: the wrapped application.
        seconds: maximum time from the start of a request to the start of its response.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with a timeout."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.seconds) as timeout:

                async def send_and_cancel_timeout(message: Message) -> None:
                    if timeout.when() is not None:
                        timeout.reschedule(None)
                    await send(message)

                await self.app(scope, receive, send_and_cancel_timeout)
        except TimeoutError:
            detail = f"The server did not respond within {self.seconds:g} s. Request fewer results, or try again later."
            await JSONResponse({"detail": detail}, 504, {"Connection": "close"})(scope, receive, send)

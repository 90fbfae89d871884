"""Limits of the server: body size, image size, response time, number of connections and shutdown time."""

import asyncio
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Limits:
    """Limits on requests and connections.

    Attributes:
        max_body_bytes: maximum size of a request body in bytes. The server rejects a larger body with status 413 before
            it reads the whole body.
        max_image_pixels: maximum number of pixels of an uploaded image. The server checks the size in
            the image header before it decodes the image.
        request_timeout_s: maximum number of seconds between the start of a request and the start of its response.
        max_connections: maximum number of open connections. The server responds to any more connections
            with status 503.
        shutdown_timeout_s: number of seconds that the server waits for open requests when it stops.
    """

    max_body_bytes: int = 20_000_000
    max_image_pixels: int = 50_000_000
    request_timeout_s: float = 30.0
    max_connections: int = 512
    shutdown_timeout_s: int = 10


class TimeoutMiddleware:
    """ASGI middleware that responds with status 504 if the application does not start its response in time.

    The middleware never interrupts a response that has started.

    Args:
        app: ASGI application to run with a timeout.
        seconds: maximum number of seconds between the start of a request and the start of its response.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and cancel it if its response does not start in time."""
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

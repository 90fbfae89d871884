"""Limits of the server: size of bodies and images, time of headers and responses, connections and shutdown time."""

import asyncio
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SLOW_SERVER = "The server did not respond within {:g} s. Request fewer results, or try again later."
_SLOW_CLIENT = "The request body did not arrive within {:g} s. Send a smaller body, or use a faster connection."


@dataclass(frozen=True)
class Limits:
    """Limits on requests and connections.

    Attributes:
        max_body_bytes: maximum size of a request body in bytes. The server rejects a larger body with status 413 before
            it reads the whole body.
        max_json_bytes: maximum size of a request body that is not a form with files, in bytes.
        max_uploads: maximum number of uploads that the server reads at the same time. Other uploads wait.
        max_image_pixels: maximum number of pixels of an uploaded image. The server checks the size in
            the image header before it decodes the image.
        request_timeout_s: maximum number of seconds between the start of a request and the start of its response.
        header_timeout_s: maximum number of seconds until the headers of a request have arrived.
        max_connections: maximum number of open connections. The server responds to any more connections
            with status 503.
        shutdown_timeout_s: number of seconds that the server waits for open requests when it stops.
    """

    max_body_bytes: int = 20_000_000
    max_json_bytes: int = 1_000_000
    max_uploads: int = 8
    max_image_pixels: int = 50_000_000
    request_timeout_s: float = 30.0
    header_timeout_s: float = 10.0
    max_connections: int = 512
    shutdown_timeout_s: int = 10


class TimeoutMiddleware:
    """ASGI middleware that cancels a request if its response does not start in time, or if its client disconnects.

    If the client is too slow, the status is 408. If the application is too slow, the status is 504. The middleware
    never interrupts a response that has started. A cancelled function in a worker thread runs to its end.

    Args:
        app: ASGI application to run with a timeout.
        seconds: maximum number of seconds between the start of a request and the start of its response.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application, and cancel it if its response does not start in time or nobody waits for it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = _Request(receive, send)
        try:
            async with asyncio.timeout(self.seconds) as timeout:
                request.timeout = timeout
                await self.app(scope, request.receive, request.send)
        except TimeoutError:
            if not request.is_disconnected:
                status, detail = (408, _SLOW_CLIENT) if request.waits_for_client else (504, _SLOW_SERVER)
                response = JSONResponse({"detail": detail.format(self.seconds)}, status, {"Connection": "close"})
                await response(scope, receive, send)
        finally:
            request.stop_watching()


class _Request:
    """The messages of one request. After the request body, it watches whether the client disconnects."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._watcher: asyncio.Task[Message] | None = None
        self.timeout: asyncio.Timeout | None = None
        self.waits_for_client = False
        self.is_disconnected = False

    async def receive(self) -> Message:
        """Receive a message. After the request body, the only message is that the client has disconnected."""
        if self._watcher is not None:
            return await asyncio.shield(self._watcher)
        self.waits_for_client = True
        message = await self._receive()
        self.waits_for_client = False
        has_body = message["type"] == "http.request" and not message.get("more_body", False)
        if has_body and self.timeout is not None and self.timeout.when() is not None:
            self._watcher = asyncio.create_task(self._watch())
        return message

    async def send(self, message: Message) -> None:
        """Send a message. The response has started, so the timeout ends."""
        if self.timeout is not None and self.timeout.when() is not None:
            self.timeout.reschedule(None)
        await self._send(message)

    async def _watch(self) -> Message:
        """Wait until the client disconnects, and cancel the application if its response has not started."""
        message = await self._receive()
        if self.timeout is not None and self.timeout.when() is not None:
            self.is_disconnected = True
            self.timeout.reschedule(asyncio.get_running_loop().time())
        return message

    def stop_watching(self) -> None:
        """Cancel the watcher."""
        if self._watcher is not None:
            self._watcher.cancel()

"""The serve part's limits: how much one request may send, how long it may take, how large a photo may be."""

import asyncio
from dataclasses import dataclass

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True)
class Limits:
    """What one request may cost.

    Attributes:
        body_bytes: of a request; more is refused as soon as it is announced or has arrived.
        photo_pixels: of an uploaded photo; one with more is refused by its header, undecoded.
        request_s: seconds until an answer must have begun, the upload included.
        connections: open at once; one more is answered by 503.
        stop_s: seconds that open requests have to end when the server is stopped.
    """

    body_bytes: int = 20_000_000
    photo_pixels: int = 50_000_000
    request_s: float = 30.0
    connections: int = 512
    stop_s: int = 10


class TimeLimit:
    """ASGI middleware: a request that has no answer after `seconds` gets 504; one under way may go on."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self.app, self.seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.seconds) as deadline:

                async def begin(message: Message) -> None:
                    if deadline.when() is not None:
                        deadline.reschedule(None)
                    await send(message)

                await self.app(scope, receive, begin)
        except TimeoutError:
            detail = f"no answer within {self.seconds:g} s; ask for less, or later"
            await JSONResponse({"detail": detail}, 504, {"Connection": "close"})(scope, receive, send)

"""The HTTP protocol of the server: uvicorn's protocol with limits on slow clients, and with errors as JSON."""

import asyncio
import json
from http import HTTPStatus

import h11
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from kadr.serve.limits import Limits

_INVALID = "The request is not valid HTTP/1.1, or its headers are too large. Send a valid request."
_BUSY = "The server has too many open connections. Try again later."


def http_protocol(limits: Limits) -> type[H11Protocol]:
    """Return a protocol class for uvicorn that enforces the limits on connections and request headers."""

    class LimitedProtocol(_LimitedProtocol):
        header_timeout_s = limits.header_timeout_s
        max_connections = limits.max_connections

    return LimitedProtocol


class _LimitedProtocol(H11Protocol):
    """The protocol of one connection.

    uvicorn closes idle connections, but waits without end for the rest of a request. This class closes a connection if
    the headers of a request, or the rest of a body that the server has not read, do not arrive in time.
    """

    header_timeout_s: float
    max_connections: int

    _deadline: asyncio.TimerHandle | None = None
    _has_request = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._update_deadline()

    def data_received(self, data: bytes) -> None:
        is_busy = len(self.connections) > self.max_connections
        self.app = _respond_busy if is_busy else self.config.loaded_app
        super().data_received(data)
        self._update_deadline()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Respond to an invalid request, and close the connection."""
        self._respond_and_close(HTTPStatus.BAD_REQUEST, _INVALID)

    def _update_deadline(self) -> None:
        """Start or stop the timer, depending on whether the connection waits for a request."""
        self._has_request = self._has_request or self.conn.their_state is not h11.IDLE
        if not self._is_waiting() or self.transport.is_closing():
            self._stop_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.header_timeout_s, self._close_late)

    def _is_waiting(self) -> bool:
        """Return whether the client has not sent all headers, or the rest of a body after the response."""
        if self.conn.their_state is h11.IDLE:
            return not self._has_request or bool(self.conn.trailing_data[0])
        return self.conn.their_state is h11.SEND_BODY and self.conn.our_state in {h11.DONE, h11.MUST_CLOSE}

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _close_late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            detail = f"The request headers did not arrive within {self.header_timeout_s:g} s. Send them faster."
            self._respond_and_close(HTTPStatus.REQUEST_TIMEOUT, detail)
        else:
            self.transport.close()

    def _respond_and_close(self, status: HTTPStatus, detail: str) -> None:
        """Send an error and close the connection."""
        body = json.dumps({"detail": detail}).encode()
        headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("x-content-type-options", "nosniff"),
            ("connection", "close"),
        ]
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            response = h11.Response(status_code=status, headers=headers, reason=status.phrase)
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


async def _respond_busy(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with status 503 to any request."""
    await JSONResponse({"detail": _BUSY}, 503, {"Connection": "close", "Retry-After": "5"})(scope, receive, send)

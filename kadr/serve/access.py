"""The serve part's doorkeeper: who may ask, from which page, and what a browser may do with the answers."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kadr.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
COOKIE = "kadr_session"
MIN_TOKEN = 16

_OPEN = ("/", "/health")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def check_address(host: str, token: str | None) -> None:
    """Raise InputError unless `host` is this machine alone, or a token of `MIN_TOKEN` characters guards the server."""
    if token is not None and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable()):
        raise InputError(
            f"the token has to be {MIN_TOKEN} or more ASCII characters; make one with `openssl rand -hex 16`"
        )
    if token is None and not _is_loopback(host):
        raise InputError(
            f"--host {host} lets other machines ask, and anyone there would see the photos; set a token "
            "(KADR_TOKEN or --token), or serve this machine alone with --host 127.0.0.1"
        )


def _is_loopback(host: str) -> bool:
    return (f"[{host}]" if ":" in host else host) in LOOPBACK


def session_of(token: str) -> str:
    """What the page's cookie holds: it proves the token without containing it."""
    return hmac.new(token.encode(), b"kadr session", hashlib.sha256).hexdigest()


class Doorkeeper:
    """ASGI middleware: refuses requests without the token or from another site's page; adds security headers.

    The page itself (`/`, `/static/`) and `/health` are open, for they hold nothing of the user's. The token comes as
    `Authorization: Bearer`, or as the page's cookie, for an <img> sends no header of ours.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer 401 or 403."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        app = self.app
        if _is_foreign(headers):
            app = JSONResponse({"detail": "a page of another site may not ask here"}, 403)
        elif not self._knows(scope["path"], headers):
            challenge = {"WWW-Authenticate": "Bearer"}
            app = JSONResponse({"detail": "this server wants its token: Authorization: Bearer TOKEN"}, 401, challenge)
        await app(scope, receive, guarded)

    def _knows(self, path: str, headers: Headers) -> bool:
        if self.token is None or path in _OPEN or path.startswith("/static/"):
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self.token.encode()):
            return True
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return hmac.compare_digest(cookie.encode(), session_of(self.token).encode())


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that a page of another origin asks."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    return headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate"

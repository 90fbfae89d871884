"""Access control: the listening address, the access token, the session cookie and the security headers."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kadr.errors import InputError

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
SESSION_COOKIE = "kadr_session"
MIN_TOKEN_LENGTH = 16

_PUBLIC_PATHS = ("/", "/health")
_SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def check_address(host: str, token: str | None) -> None:
    """Check that the server may listen on a host with this token.

    Args:
        host: host name or IP address to listen on.
        token: access token. None is allowed on a loopback address only.

    Raises:
        InputError: the token is too short or not ASCII, or the host is not a loopback address and no token is set.
    """
    if token is not None and not _is_valid_token(token):
        raise InputError(
            f"The token is too short or has characters that are not printable ASCII. Expected {MIN_TOKEN_LENGTH} or "
            "more ASCII characters. Create one with `openssl rand -hex 16`."
        )
    if token is None and not _is_loopback(host):
        raise InputError(
            f"--host {host} lets other machines connect, and no token is set. Expected a token of {MIN_TOKEN_LENGTH} "
            "or more characters. Set KADR_TOKEN or --token, or use --host 127.0.0.1."
        )


def session_cookie(token: str) -> str:
    """Return the value of the session cookie: a keyed hash that proves the token without containing it."""
    return hmac.new(token.encode(), b"kadr session", hashlib.sha256).hexdigest()


class AccessMiddleware:
    """ASGI middleware that requires the token, rejects cross-site requests and adds security headers.

    The page (`/`, `/static/`) and `/health` need no token because they contain no user data. Other routes accept the
    token as `Authorization: Bearer TOKEN`, or the session cookie. The cookie exists because a browser sends no custom
    header when it loads an `<img>`.

    Args:
        app: the wrapped application.
        token: access token, or None if no token is required.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a permitted request to the application. Reject any other request with status 401 or 403."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._rejection(scope) or self.app
        await app(scope, receive, send_with_headers)

    def _rejection(self, scope: Scope) -> JSONResponse | None:
        """Return the error response to a request that is not permitted, and None otherwise."""
        headers = Headers(scope=scope)
        if _is_cross_site(headers):
            return JSONResponse({"detail": "Requests from pages of other sites are not allowed."}, 403)
        if not self._is_authorized(scope["path"], headers):
            detail = "The access token is missing or wrong. Send the header `Authorization: Bearer TOKEN`."
            return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})
        return None

    def _is_authorized(self, path: str, headers: Headers) -> bool:
        if self.token is None or path in _PUBLIC_PATHS or path.startswith("/static/"):
            return True
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(credentials.strip().encode(), self.token.encode()):
            return True
        cookie = cookie_parser(headers.get("cookie", "")).get(SESSION_COOKIE, "")
        return hmac.compare_digest(cookie.encode(), session_cookie(self.token).encode())


def _is_valid_token(token: str) -> bool:
    return len(token) >= MIN_TOKEN_LENGTH and token.isascii() and token.isprintable()


def _is_loopback(host: str) -> bool:
    return (f"[{host}]" if ":" in host else host) in LOOPBACK_HOSTS


def _is_cross_site(headers: Headers) -> bool:
    """Return whether the browser's headers show that a page of another origin sent the request."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    return headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate"

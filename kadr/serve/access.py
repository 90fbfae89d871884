"""Access control: check the listening address, the access token and the session cookie, and set security headers."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kadr.errors import InputError
from kadr.serve.wrong_tokens import WrongTokens

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
SESSION_COOKIE = "kadr_session"
MIN_TOKEN_LENGTH = 16

_PUBLIC_PATHS = ("/", "/health")
_UNAUTHORIZED = "The access token is missing or wrong. Send the header `Authorization: Bearer TOKEN`."
_CROSS_SITE = (
    "Requests from pages on other sites are not allowed. Open the page of this server instead. If there is a reverse "
    "proxy in front of the server, let it forward the Host header."
)
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
    """Check that the access token is valid, and that a token is set if other machines can connect.

    Args:
        host: host name or IP address to listen on.
        token: access token, or None for no token. Only loopback addresses allow None.

    Raises:
        InputError: the token is too short or contains invalid characters, or the host is not a loopback address and
            no token is set.
    """
    if token is not None and not _is_valid_token(token):
        raise InputError(
            "The token is too short or contains characters that are not printable ASCII. Expected "
            f"{MIN_TOKEN_LENGTH} or more printable ASCII characters. Create one with `openssl rand -hex 16`."
        )
    if token is None and not _is_loopback(host):
        raise InputError(
            f"--host {host} lets other machines connect, but no token is set. The server requires a token of "
            f"{MIN_TOKEN_LENGTH} or more characters. Set KADR_TOKEN or --token, or use --host 127.0.0.1."
        )


def session_cookie(token: str) -> str:
    """Return the value of the session cookie: an HMAC with the token as its key, which does not reveal the token."""
    return hmac.new(token.encode(), b"kadr session", hashlib.sha256).hexdigest()


class AccessMiddleware:
    """ASGI middleware that requires the token, rejects cross-site requests and adds security headers.

    The page (`/`, `/static/`) and `/health` do not require a token because they contain no user data. All other routes
    require either the header `Authorization: Bearer TOKEN` or the session cookie. The web page uses the cookie because
    a browser cannot send a custom header when it loads an `<img>`. Wrong tokens and cookies are logged and slowed down.

    Args:
        app: ASGI application to protect.
        token: access token, or None if no token is required.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token
        self._wrong_tokens = WrongTokens()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an authorized request to the application. Reject any other request with status 401 or 403."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        if _is_cross_site(headers):
            await JSONResponse({"detail": _CROSS_SITE}, 403)(scope, receive, send_with_headers)
        elif self.token is None or _is_public(scope["path"]):
            await self.app(scope, receive, send_with_headers)
        else:
            credentials = _read_credentials(headers)
            if self._is_right(credentials, self.token):
                await self.app(scope, receive, send_with_headers)
                return
            if any(credentials):
                await self._wrong_tokens.delay(scope["client"][0] if scope.get("client") else "")
            response = JSONResponse({"detail": _UNAUTHORIZED}, 401, {"WWW-Authenticate": "Bearer"})
            await response(scope, receive, send_with_headers)

    @staticmethod
    def _is_right(credentials: tuple[str, str], token: str) -> bool:
        """Return whether the token or the session cookie of a request is right."""
        bearer, cookie = (value.encode() for value in credentials)
        return hmac.compare_digest(bearer, token.encode()) | hmac.compare_digest(cookie, session_cookie(token).encode())


def _is_public(path: str) -> bool:
    return path in _PUBLIC_PATHS or path.startswith("/static/")


def _read_credentials(headers: Headers) -> tuple[str, str]:
    """Return the bearer token and the session cookie of a request. Each is empty if it is missing."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    cookie = cookie_parser(headers.get("cookie", "")).get(SESSION_COOKIE, "")
    return bearer.strip() if scheme.lower() == "bearer" else "", cookie


def _is_valid_token(token: str) -> bool:
    return len(token) >= MIN_TOKEN_LENGTH and token.isascii() and token.isprintable()


def _is_loopback(host: str) -> bool:
    return (f"[{host}]" if ":" in host else host) in LOOPBACK_HOSTS


def _is_cross_site(headers: Headers) -> bool:
    """Return whether the request headers show that a page from another origin sent the request.

    Browsers set Sec-Fetch-Site, which no page can change. Older browsers set only Origin.
    """
    if headers.get("sec-fetch-site") in {"same-origin", "none"}:
        return False
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    return headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") != "navigate"

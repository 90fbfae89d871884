"""The FastAPI application: routes, web page, middleware and error handlers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from kadr import __version__
from kadr.errors import InputError, KadrError, SearchError
from kadr.serve.access import LOOPBACK_HOSTS, SESSION_COOKIE, AccessMiddleware, session_cookie
from kadr.serve.annotation_routes import annotation_routes
from kadr.serve.collection_routes import collection_routes
from kadr.serve.facet_routes import facet_routes
from kadr.serve.hot_reload import RELOAD_INTERVAL_S
from kadr.serve.http_conventions import HeadMiddleware, JsonErrorMiddleware
from kadr.serve.image_routes import image_routes
from kadr.serve.limits import TimeoutMiddleware
from kadr.serve.page_files import PageFiles
from kadr.serve.prometheus import MetricsMiddleware
from kadr.serve.search_routes import search_routes
from kadr.serve.service import Service
from kadr.serve.status_routes import status_routes
from kadr.serve.uploads import BodyLimitMiddleware

_ROUTES = (search_routes, facet_routes, image_routes, annotation_routes, collection_routes, status_routes)

STATIC_FOLDER = Path(__file__).with_name("static")

_FOREIGN_HOST = (
    "The request names a host that the server does not accept without an access token. Expected one of "
    f"{', '.join(LOOPBACK_HOSTS)}. Use one of these names, or start the server with --token."
)


_MESSAGES = {"extra_forbidden": "this field is unknown. See /openapi.json for the fields of this request."}
"""Type of a validation error -> message that replaces the message of pydantic."""


def create_app(service: Service, token: str | None = None, reload_interval_s: float = RELOAD_INTERVAL_S) -> FastAPI:
    """Create the FastAPI application.

    Args:
        service: service that the routes call.
        token: access token that clients must send. Without a token, the application accepts only requests to
            loopback host names.
        reload_interval_s: number of seconds between two checks for a new version of the index or the models.

    Returns:
        The application with its routes, web page and middleware.
    """
    app = FastAPI(
        title="kadr",
        version=__version__,
        summary="Search images by text, with a relevance model trained on human ratings.",
        lifespan=_lifespan(service, reload_interval_s),
        docs_url=None,
        redoc_url=None,
    )
    for add_routes in _ROUTES:
        app.include_router(add_routes(service))
    _add_page(app, token)
    app.add_exception_handler(KadrError, _handle_kadr_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    app.add_exception_handler(HTTPException, _handle_http_exception)
    app.add_exception_handler(Exception, _handle_unexpected_error)
    _add_middleware(app, service, token)
    return app


def _add_middleware(app: FastAPI, service: Service, token: str | None) -> None:
    """Add the middleware in order from the innermost layer to the outermost layer."""
    limits = service.limits
    app.add_middleware(BodyLimitMiddleware, limits=limits)
    app.add_middleware(TimeoutMiddleware, seconds=limits.request_timeout_s)
    app.add_middleware(AccessMiddleware, token=token)
    if token is None:  # prevents DNS rebinding: a host name of another site that resolves to this machine
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_HOSTS)
    too_large = (
        f"The request body is too large, expected at most {limits.max_body_bytes / 1e6:g} MB for a form with an image "
        f"and {limits.max_json_bytes / 1e6:g} MB otherwise. Send a smaller image."
    )
    details = {"Invalid host header": _FOREIGN_HOST, "Content Too Large": too_large}
    app.add_middleware(JsonErrorMiddleware, details=details)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)
    app.add_middleware(MetricsMiddleware, metrics=service.metrics)
    app.add_middleware(HeadMiddleware)


def _lifespan(
    service: Service, reload_interval_s: float
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(service.batcher.run()),
            asyncio.create_task(_reload_periodically(service, reload_interval_s)),
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return lifespan


async def _reload_periodically(service: Service, interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        await asyncio.to_thread(service.hot_reload.reload_if_changed)
        service.update_metrics()


def _add_page(app: FastAPI, token: str | None) -> None:
    files = PageFiles(STATIC_FOLDER)
    app.mount("/static", files, name="static")

    @app.get("/", include_in_schema=False)
    def page(request: Request) -> Response:
        return files.page(request)

    @app.post("/session", status_code=204, tags=["status"], response_class=Response)
    async def open_session(request: Request) -> Response:
        """Set the session cookie that the web page uses. The request must contain the access token."""
        response = Response(status_code=204)
        if token is not None:
            secure = request.url.scheme == "https"
            response.set_cookie(SESSION_COOKIE, session_cookie(token), httponly=True, samesite="strict", secure=secure)
        return response


async def _handle_kadr_error(_request: Request, error: Exception) -> JSONResponse:
    """Return the error message, with status 422 for an invalid request and status 503 for a server problem."""
    return JSONResponse({"detail": str(error)}, 422 if isinstance(error, InputError | SearchError) else 503)


async def _handle_validation_error(_request: Request, error: Exception) -> JSONResponse:
    """Return status 422 with one message that lists every invalid field."""
    if not isinstance(error, RequestValidationError):
        raise error
    messages = [
        f"{'.'.join(str(key) for key in entry['loc'][1:])}: {_MESSAGES.get(entry['type'], entry['msg'])}"
        for entry in error.errors()
    ]
    return JSONResponse({"detail": "; ".join(messages)}, 422)


async def _handle_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Return the message of an HTTPException. Say which routes and methods exist instead of the name of the status."""
    if not isinstance(error, HTTPException):
        raise error
    detail, headers = error.detail, error.headers or {}
    if detail == HTTPStatus(error.status_code).phrase and error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"The server has no route {request.url.path!r}. See /openapi.json for all routes."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = headers.get("Allow", "another method")
        detail = f"The route {request.url.path!r} does not accept {request.method}. Use {allowed}."
    return JSONResponse({"detail": detail}, error.status_code, headers)


async def _handle_unexpected_error(_request: Request, error: Exception) -> JSONResponse:
    """Return status 500. The web server logs the stack trace."""
    detail = (
        f"The server failed with {type(error).__name__}. This is a bug in kadr. The server log contains the details."
    )
    return JSONResponse({"detail": detail}, 500)

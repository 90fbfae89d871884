"""The FastAPI application: routes, web page, middleware and error handlers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from kadr import __version__
from kadr.errors import InputError, KadrError, SearchError
from kadr.serve.access import LOOPBACK_HOSTS, SESSION_COOKIE, AccessMiddleware, session_cookie
from kadr.serve.annotation_routes import annotation_routes
from kadr.serve.image_routes import image_routes
from kadr.serve.limits import TimeoutMiddleware
from kadr.serve.prometheus import MetricsMiddleware
from kadr.serve.search_routes import search_routes
from kadr.serve.service import Service
from kadr.serve.status_routes import status_routes

STATIC_FOLDER = Path(__file__).with_name("static")
RELOAD_INTERVAL_S = 2.0


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
    for add_routes in (search_routes, image_routes, annotation_routes, status_routes):
        app.include_router(add_routes(service))
    _add_page(app, token)
    app.add_exception_handler(KadrError, _handle_kadr_error)
    app.add_exception_handler(RequestValidationError, _handle_validation_error)
    _add_middleware(app, service, token)
    return app


def _add_middleware(app: FastAPI, service: Service, token: str | None) -> None:
    """Add the middleware in order from the innermost layer to the outermost layer."""
    app.add_middleware(TimeoutMiddleware, seconds=service.limits.request_timeout_s)
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=service.limits.max_body_bytes)
    app.add_middleware(AccessMiddleware, token=token)
    if token is None:  # prevents DNS rebinding: a host name of another site that resolves to this machine
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_HOSTS)
    app.add_middleware(MetricsMiddleware, metrics=service.metrics)


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
    app.mount("/static", StaticFiles(directory=STATIC_FOLDER), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC_FOLDER / "index.html", headers={"Cache-Control": "no-cache"})

    @app.post("/session", status_code=204, tags=["status"])
    async def open_session(request: Request) -> JSONResponse:
        """Set the session cookie that the web page uses. The request must contain the access token."""
        response = JSONResponse(None, 204)
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
    messages = [f"{'.'.join(str(key) for key in entry['loc'][1:])}: {entry['msg']}" for entry in error.errors()]
    return JSONResponse({"detail": "; ".join(messages)}, 422)

"""The serve part's application: routes, page, and what stands before them."""

import asyncio
import contextlib
import logging
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
from kadr.serve.access import COOKIE, LOOPBACK, Doorkeeper, session_of
from kadr.serve.annotation_routes import judging_routes
from kadr.serve.limits import TimeLimit
from kadr.serve.prometheus import Measure
from kadr.serve.routes import picture_routes, search_routes, state_routes
from kadr.serve.service import Service

logger = logging.getLogger(__name__)

STATIC = Path(__file__).with_name("static")
RELOAD_EVERY_S = 2.0


def create_app(service: Service, token: str | None = None, reload_every: float = RELOAD_EVERY_S) -> FastAPI:
    """The application.

    Args:
        service: what is served.
        token: that every request has to bring; None lets in whoever can reach this machine by its own name.
        reload_every: seconds between looks for a new version of index and model.
    """
    app = FastAPI(
        title="kadr",
        version=__version__,
        summary="Find photos by words, with a model of relevance learned from people's ratings.",
        lifespan=_lifespan(service, reload_every),
        docs_url=None,
        redoc_url=None,
    )
    for router in (search_routes(service), picture_routes(service), judging_routes(service), state_routes(service)):
        app.include_router(router)
    _add_page(app, token)
    app.add_exception_handler(KadrError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_request)
    app.add_middleware(TimeLimit, seconds=service.limits.request_s)  # the last that is added is the first to be asked
    app.add_middleware(RequestBodyLimitMiddleware, max_body_size=service.limits.body_bytes)
    app.add_middleware(Doorkeeper, token=token)
    if token is None:  # else a page elsewhere could give its own name this machine's address
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK)
    app.add_middleware(Measure, metrics=service.metrics)
    return app


def _lifespan(service: Service, every: float) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        works = [asyncio.create_task(service.batcher.work()), asyncio.create_task(_reload(service, every))]
        yield
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)

    return lifespan


async def _reload(service: Service, every: float) -> None:
    while True:
        await asyncio.sleep(every)
        await asyncio.to_thread(service.live.check)
        service.note_version()


def _add_page(app: FastAPI, token: str | None) -> None:
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})

    @app.post("/session", status_code=204, tags=["state"])
    async def open_session(request: Request) -> JSONResponse:
        """Give a browser the cookie by which its page asks on; the request itself brings the token."""
        answer = JSONResponse(None, 204)
        if token is not None:
            secure = request.url.scheme == "https"
            answer.set_cookie(COOKIE, session_of(token), httponly=True, samesite="strict", secure=secure)
        return answer


async def _explain(_request: Request, error: Exception) -> JSONResponse:
    """What people can mend, in the words of the error: whoever asks, or else whoever serves."""
    return JSONResponse({"detail": str(error)}, 422 if isinstance(error, InputError | SearchError) else 503)


async def _explain_request(_request: Request, error: Exception) -> JSONResponse:
    """A request that does not fit its form: each place and what was wrong there."""
    if not isinstance(error, RequestValidationError):
        raise error
    problems = [f"{'.'.join(str(part) for part in found['loc'][1:])}: {found['msg']}" for found in error.errors()]
    return JSONResponse({"detail": "; ".join(problems)}, 422)

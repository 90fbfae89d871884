"""Limit the size of request bodies and the number of uploads that the server reads at the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response, UploadFile
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from kadr.serve.image_responses import check_upload
from kadr.serve.limits import Limits
from kadr.serve.service import Service

_MAX_FORM_FIELDS = 20
_MAX_FIELD_BYTES = 100_000


class BodyLimitMiddleware:
    """ASGI middleware that limits the size of request bodies, and how many uploads are read at the same time.

    Other uploads wait. The server does not read their bodies while they wait, so they need no memory.

    Args:
        app: ASGI application to protect.
        limits: limits of the server.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._uploads = RequestBodyLimitMiddleware(app, limits.max_body_bytes)
        self._other = RequestBodyLimitMiddleware(app, limits.max_json_bytes)
        self._slots = asyncio.Semaphore(limits.max_uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with the limit for the type of the body."""
        content_type = Headers(scope=scope).get("content-type", "") if scope["type"] == "http" else ""
        if not content_type.lower().startswith("multipart/form-data"):
            await self._other(scope, receive, send)
            return
        async with self._slots:
            await self._uploads(scope, receive, send)


class UploadRoute(APIRoute):
    """A route whose forms have one file and few, short fields."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return a handler that parses forms with these limits."""
        handle = super().get_route_handler()

        async def handle_upload(request: Request) -> Response:
            return await handle(_UploadRequest(request.scope, request.receive))

        return handle_upload


class _UploadRequest(Request):
    def form(self, **_limits: Any) -> Any:
        return super().form(max_files=1, max_fields=_MAX_FORM_FIELDS, max_part_size=_MAX_FIELD_BYTES)


async def read_upload(service: Service, upload: UploadFile) -> bytes:
    """Return the bytes of an uploaded image. Raise InputError if the server does not accept its format or size."""
    content = await upload.read()
    await service.run_upload_task(check_upload, content, service.limits.max_image_pixels)
    return content

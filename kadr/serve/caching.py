"""Responses that clients can cache, and conditional requests (RFC 9110)."""

import hashlib
import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

REVALIDATE = "private, no-cache"
"""Cache-Control of a URL whose content can change. The client asks whether its copy is current."""

IMMUTABLE = "private, max-age=31536000, immutable"
"""Cache-Control of a URL that contains a hash of its content. The client keeps its copy for a year."""


def cacheable_response(
    request: Request, content: bytes | Path, media_type: str, cache_control: str, **headers: str
) -> Response:
    """Return content, or status 304 if the client has the same content.

    Args:
        request: request of the client.
        content: bytes, or the path of a file, which is sent in pieces and in ranges.
        media_type: media type of the content.
        cache_control: value of the header Cache-Control.
        **headers: other headers, with underscores in their names.
    """
    etag = f'"{_identify(content)}"'
    all_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    all_headers |= {"ETag": etag, "Cache-Control": cache_control}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known or "*" in known:
        return Response(status_code=304, headers=all_headers)
    if isinstance(content, Path):
        return FileResponse(content, media_type=media_type, headers=all_headers)
    return Response(content, media_type=media_type, headers=all_headers)


def _identify(content: bytes | Path) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()[:32]
    status = os.stat(content)
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"

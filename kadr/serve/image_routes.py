"""Routes for images in the index: `/images`, `/thumbnails` and `/metadata`.

Clients request an image by its ID. The file path comes from the index, so clients cannot read any other file.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import quote

import fastapi
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from kadr.errors import InputError
from kadr.serve.api_models import ERROR_RESPONSES, NOT_FOUND_RESPONSE, ImageId, ImageMetadata, Responses
from kadr.serve.caching import IMMUTABLE, REVALIDATE, cacheable_response
from kadr.serve.image_responses import ImageContent, ThumbnailSide, load_image, load_original, load_thumbnail
from kadr.serve.search_requests import image_metadata, image_version
from kadr.serve.service import Service

_IMAGE_RESPONSE: Responses = {200: {"content": {"image/*": {}}, "description": "The image file."}}

Version = Annotated[
    str | None,
    fastapi.Query(
        max_length=64,
        description="Version of the image from a search result. The response to the current version can be cached.",
    ),
]
Original = Annotated[
    bool, fastapi.Query(description="whether to return the file as it is, as a download, without conversion")
]


def image_routes(service: Service) -> APIRouter:
    """Create the router for the routes `/images`, `/thumbnails` and `/metadata`."""
    router = APIRouter(tags=["images"], responses=ERROR_RESPONSES | NOT_FOUND_RESPONSE)

    @router.get("/images/{image_id:path}", response_class=Response, responses=_IMAGE_RESPONSE)
    def get_image(request: Request, image_id: ImageId, v: Version = None, *, original: Original = False) -> Response:
        """Return the image file. If browsers cannot display its format, convert the image to JPEG."""
        row = _find_row(service, image_id)
        if row["sha256"] is None:
            raise HTTPException(404, "This image exists only as a vector, so there is no image file.")
        with _not_found_if_unreadable():
            load = load_original if original else load_image
            image = load(row["path"], row["sha256"])
        headers = {"Content_Disposition": _attachment(row["path"])} if original else {}
        return _image_response(request, image, v, row, headers)

    @router.get("/thumbnails/{image_id:path}", response_class=Response, responses=_IMAGE_RESPONSE)
    def get_thumbnail(
        request: Request, image_id: ImageId, side: ThumbnailSide = ThumbnailSide.SMALL, v: Version = None
    ) -> Response:
        """Return a thumbnail of the image, rotated upright, as WebP if the client accepts WebP, otherwise as JPEG."""
        row = _find_row(service, image_id)
        accepts_webp = "image/webp" in request.headers.get("accept", "")
        with _not_found_if_unreadable():
            image = load_thumbnail(row["path"], side, row["sha256"], service.thumbnails, webp=accepts_webp)
        return _image_response(request, image, v, row, {"Vary": "Accept"})

    @router.get("/metadata/{image_id:path}")
    def get_metadata(image_id: ImageId) -> ImageMetadata:
        """Return the path, size, date, place, camera, colours, texts and split of the image."""
        return image_metadata(_find_row(service, image_id))

    return router


def image_not_found(image_id: str) -> HTTPException:
    """Create the 404 error for an image ID that is not in the index."""
    return HTTPException(404, f"The index has no image {image_id!r}. Use an image_id from a search result.")


def _image_response(
    request: Request, image: ImageContent, version: str | None, row: Mapping[str, Any], headers: Mapping[str, str]
) -> Response:
    """Return an image, or status 304 if the client has the same image.

    If the URL contains the version of the image in the index, and the file has not changed since, clients can keep
    their copy: a changed image has another URL.
    """
    is_version = image.is_indexed and version is not None and version == image_version(row["sha256"])
    cache_control = IMMUTABLE if is_version else REVALIDATE
    return cacheable_response(request, image.content, image.media_type, cache_control, **headers)


def _attachment(path: str) -> str:
    """Return the header Content-Disposition that makes a browser save a file under its name."""
    name = PurePath(path).name
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _find_row(service: Service, image_id: str) -> Mapping[str, Any]:
    row = service.get_image(image_id)
    if row is None:
        raise image_not_found(image_id)
    return row


@contextmanager
def _not_found_if_unreadable() -> Iterator[None]:
    """Convert an InputError from the `with` block into a response with status 404."""
    try:
        yield
    except InputError as error:
        raise HTTPException(404, str(error)) from error

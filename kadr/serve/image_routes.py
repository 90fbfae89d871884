"""Routes for images in the index: `/images`, `/thumbnails` and `/metadata`.

Clients request an image by its ID. The file path comes from the index, so clients cannot read any other file.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

from kadr.errors import InputError
from kadr.serve.api_models import ERROR_RESPONSES, NOT_FOUND_RESPONSE, ImageId, ImageMetadata, Responses
from kadr.serve.image_responses import ThumbnailSide, render_image, render_thumbnail
from kadr.serve.service import Service

_IMAGE_RESPONSE: Responses = {200: {"content": {"image/*": {}}, "description": "The image file."}}
_CACHE_HEADERS = {"Cache-Control": "private, max-age=3600"}


def image_routes(service: Service) -> APIRouter:
    """Create the router for the routes `/images`, `/thumbnails` and `/metadata`."""
    router = APIRouter(tags=["images"], responses=ERROR_RESPONSES | NOT_FOUND_RESPONSE)

    @router.get("/images/{image_id:path}", response_class=Response, responses=_IMAGE_RESPONSE)
    def get_image(image_id: ImageId) -> Response:
        """Return the image file. If browsers cannot display its format, convert the image to JPEG."""
        with _not_found_if_unreadable():
            content, media_type = render_image(_find_row(service, image_id)["path"])
        return Response(content, media_type=media_type, headers=_CACHE_HEADERS)

    @router.get("/thumbnails/{image_id:path}", response_class=Response, responses=_IMAGE_RESPONSE)
    def get_thumbnail(image_id: ImageId, side: ThumbnailSide = ThumbnailSide.SMALL) -> Response:
        """Return a JPEG thumbnail of the image, rotated upright."""
        row = _find_row(service, image_id)
        with _not_found_if_unreadable():
            content = render_thumbnail(row["path"], side, str(row["sha256"]))
        return Response(content, media_type="image/jpeg", headers=_CACHE_HEADERS)

    @router.get("/metadata/{image_id:path}")
    def get_metadata(image_id: ImageId) -> ImageMetadata:
        """Return the size, date, place, colours and split of the image."""
        row = _find_row(service, image_id)
        return ImageMetadata.model_validate({**row, "name": PurePath(row["path"]).name})

    return router


def image_not_found(image_id: str) -> HTTPException:
    """Create the 404 error for an image ID that is not in the index."""
    return HTTPException(404, f"The index has no image {image_id!r}. Use an image_id from a search result.")


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

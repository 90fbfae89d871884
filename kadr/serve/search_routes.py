"""Routes for search: `/search`, `/similar` and `/score`."""

from typing import Annotated

from fastapi import APIRouter, File, Form, HTTPException, UploadFile
from fastapi.concurrency import run_in_threadpool

from kadr.search import Query, Term
from kadr.serve.api_models import (
    ERROR_RESPONSES,
    NOT_FOUND_RESPONSE,
    ImageId,
    K,
    Offset,
    ScoreResponse,
    SearchRequest,
    SearchResponse,
    Text,
)
from kadr.serve.image_responses import check_upload
from kadr.serve.image_routes import image_not_found
from kadr.serve.service import PagedQuery, Service, build_query

ImageUpload = Annotated[UploadFile, File(description="Image file in JPEG, PNG, WebP, GIF, AVIF, BMP or TIFF format.")]


def search_routes(service: Service) -> APIRouter:
    """Create the router for the routes `/search`, `/similar` and `/score`."""
    router = APIRouter(tags=["search"], responses=ERROR_RESPONSES)

    @router.post("/search")
    async def search(request: SearchRequest) -> SearchResponse:
        """Search by texts, by images in the index, or by a weighted combination of texts and images."""
        return await service.search(PagedQuery(build_query(request), request.k, request.offset))

    @router.post("/similar", responses=NOT_FOUND_RESPONSE)
    async def similar(
        image_id: Annotated[ImageId | None, Form(description="ID of an image in the index.")] = None,
        image: Annotated[UploadFile | None, File(description="Image file to send instead of image_id.")] = None,
        k: Annotated[K, Form()] = 20,
        offset: Annotated[Offset, Form()] = 0,
    ) -> SearchResponse:
        """Search for images that are similar to an image in the index or to an uploaded image."""
        if (image_id is None) == (image is None):
            raise HTTPException(
                422, "The request must contain either image_id or image. Send exactly one of the two fields."
            )
        if image_id is not None and service.get_image(image_id) is None:
            raise image_not_found(image_id)
        content = None if image is None else await _read_upload(service, image)
        return await service.search(PagedQuery(Query((Term(1.0, image_id=image_id, content=content),)), k, offset))

    @router.post("/score")
    async def score(image: ImageUpload, text: Annotated[Text, Form(min_length=1)]) -> ScoreResponse:
        """Predict the relevance of an uploaded image for a text."""
        content = await _read_upload(service, image)
        return ScoreResponse(relevance=await service.run_upload_task(service.searcher.score, content, text))

    return router


async def _read_upload(service: Service, upload: UploadFile) -> bytes:
    """Return the bytes of an uploaded image. Raise InputError if the server does not accept its format or size."""
    content = await upload.read()
    await run_in_threadpool(check_upload, content, service.limits.max_image_pixels)
    return content

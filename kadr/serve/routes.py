"""The serve part's routes of search: words, photos and pairs to photos and relevances."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, UploadFile
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from kadr.collection import COLOURS
from kadr.errors import InputError
from kadr.search import Query, Term
from kadr.serve.api_models import (
    Facts,
    Health,
    ImageId,
    K,
    Offset,
    Problem,
    ScoreAnswer,
    SearchAnswer,
    SearchRequest,
    Text,
)
from kadr.serve.image_responses import Side, check_upload, photo_content, thumbnail_content
from kadr.serve.service import Asked, Service, to_query

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request is no valid JSON or form."},
    401: {"model": Problem, "description": "The token is missing or wrong."},
    413: {"model": Problem, "description": "The request is too large."},
    422: {"model": Problem, "description": "What was wrong, and what to do."},
    503: {"model": Problem, "description": "The server lacks what it takes, such as an encoder."},
}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "No such photo in the index."}}
PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {}}, "description": "The picture."},
}
Upload = Annotated[UploadFile, File(description="A photo's file: JPEG, PNG, WebP, GIF, AVIF, BMP or TIFF.")]


def search_routes(service: Service) -> APIRouter:
    """`/search`, `/similar` and `/score`."""
    router = APIRouter(tags=["search"], responses=PROBLEMS)

    @router.post("/search")
    async def search(request: SearchRequest) -> SearchAnswer:
        """The photos that fit a text, photos of the index, or a sum of them."""
        return await service.search(Asked(to_query(request), request.k, request.offset))

    @router.post("/similar", responses=MISSING)
    async def similar(
        image_id: Annotated[ImageId | None, Form(description="Of a photo of the index.")] = None,
        photo: Annotated[UploadFile | None, File(description="Or a photo's file.")] = None,
        k: Annotated[K, Form()] = 20,
        offset: Annotated[Offset, Form()] = 0,
    ) -> SearchAnswer:
        """The photos that look like one of the index, or like one that is sent."""
        if (image_id is None) == (photo is None):
            raise HTTPException(422, "send either image_id or photo")
        if image_id is not None and service.photo(image_id) is None:
            raise _no_such_photo(image_id)
        content = None if photo is None else await _read(service, photo)
        return await service.search(Asked(Query((Term(1.0, image_id=image_id, photo=content),)), k, offset))

    @router.post("/score")
    async def score(photo: Upload, text: Annotated[Text, Form(min_length=1)]) -> ScoreAnswer:
        """The relevance of any photo to any text."""
        content = await _read(service, photo)
        return ScoreAnswer(relevance=await service.work_on_upload(service.searcher.score, content, text))

    return router


def picture_routes(service: Service) -> APIRouter:
    """`/photos`, `/thumbnails` and `/facts`, by id alone: no path from a client reaches the disk."""
    router = APIRouter(tags=["photos"], responses=PROBLEMS | MISSING)

    @router.get("/photos/{image_id:path}", response_class=Response, responses=PICTURE)
    def photo(image_id: ImageId) -> Response:
        """The photo's file, as a JPEG where browsers do not show its format."""
        with _lost_is_missing():
            content, kind = photo_content(_row(service, image_id)["path"])
        return Response(content, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    @router.get("/thumbnails/{image_id:path}", response_class=Response, responses=PICTURE)
    def thumbnail(image_id: ImageId, side: Side = Side.SMALL) -> Response:
        """A small JPEG of the photo, upright."""
        row = _row(service, image_id)
        with _lost_is_missing():
            content = thumbnail_content(row["path"], side, str(row["sha256"]))
        return Response(content, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    @router.get("/facts/{image_id:path}")
    def facts(image_id: ImageId) -> Facts:
        """What the index knows of the photo."""
        row = _row(service, image_id)
        return Facts.model_validate({**row, "name": PurePath(row["path"]).name})

    return router


def state_routes(service: Service) -> APIRouter:
    """`/health` and `/metrics`."""
    router = APIRouter(tags=["state"])

    @router.get("/health")
    async def health() -> Health:
        """What is served, and whether it can be."""
        index = service.searcher.index
        return Health(
            status="ok",
            n_photos=len(index.photos),
            encoder=index.encoder,
            colours=list(COLOURS) if index.photos["colours"].null_count < len(index.photos) else [],
            relevance=service.searcher.rerank > 0,
            loaded_at=service.live.loaded.at,
            newest=service.live.newest,
            n_failed_reloads=service.live.n_failed,
            judging=service.judging.refusal,
        )

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Figures in the text format of Prometheus."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _row(service: Service, image_id: str) -> Any:
    row = service.photo(image_id)
    if row is None:
        raise _no_such_photo(image_id)
    return row


@contextmanager
def _lost_is_missing() -> Iterator[None]:
    """A photo whose file is gone is not there, whatever the index says."""
    try:
        yield
    except InputError as error:
        raise HTTPException(404, str(error)) from error


def _no_such_photo(image_id: str) -> HTTPException:
    return HTTPException(404, f"the index has no photo {image_id!r}")


async def _read(service: Service, upload: UploadFile) -> bytes:
    """The uploaded photo's bytes, looked at. Raises InputError."""
    content = await upload.read()
    await run_in_threadpool(check_upload, content, service.limits.photo_pixels)
    return content

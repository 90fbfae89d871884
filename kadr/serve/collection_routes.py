"""Routes for favourites, saved searches, near-duplicates and downloads."""

import csv
import io
from typing import Annotated, Any

import fastapi
import numpy as np
from fastapi import APIRouter, HTTPException
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from kadr.io.spreadsheet_cells import escape_cell
from kadr.search.results import Ranked, make_matches
from kadr.serve.api_models import ERROR_RESPONSES, MAX_K, NOT_FOUND_RESPONSE, ErrorResponse, ImageId, Responses
from kadr.serve.collection_models import (
    MAX_GROUP_IMAGES,
    DownloadRequest,
    DuplicateGroup,
    DuplicateImage,
    DuplicatesResponse,
    ExportedFavourite,
    FavouritesResponse,
    SavedSearchesResponse,
    SavedSearchRequest,
    SavedSearchResponse,
    SearchName,
    saved_search_response,
)
from kadr.serve.collections import find_favourites
from kadr.serve.image_archive import zip_images
from kadr.serve.image_routes import image_not_found
from kadr.serve.search_models import Offset
from kadr.serve.search_requests import search_match
from kadr.serve.service import Service

_NO_SEARCH: Responses = {404: {"model": ErrorResponse, "description": "There is no saved search with this name."}}
_CSV_RESPONSE: Responses = {200: {"content": {"text/csv": {}}, "description": "The favourites as a CSV file."}}
_ZIP_RESPONSE: Responses = {200: {"content": {"application/zip": {}}, "description": "The image files."}}


def collection_routes(service: Service) -> APIRouter:
    """Create the router for favourites, saved searches, near-duplicates and downloads."""
    router = APIRouter(responses=ERROR_RESPONSES)
    _add_favourite_routes(router, service)
    _add_search_routes(router, service)
    _add_duplicate_route(router, service)
    _add_download_route(router, service)
    return router


def _add_favourite_routes(router: APIRouter, service: Service) -> None:
    @router.get("/favourites", tags=["favourites"])
    def get_favourites() -> FavouritesResponse:
        """Return the favourite images that are in the index."""
        favourites = service.collections.favourites()
        image_ids = list(find_favourites(favourites, service.searcher.index.table))
        return FavouritesResponse(image_ids=image_ids, n_missing=len(favourites) - len(image_ids))

    @router.get("/favourites.json", tags=["favourites"])
    def export_favourites() -> list[ExportedFavourite]:
        """Return all favourites, also those that are not in the index."""
        return _export_favourites(service)

    @router.get("/favourites.csv", tags=["favourites"], response_class=Response, responses=_CSV_RESPONSE)
    def export_favourites_csv() -> Response:
        """Return all favourites as a CSV file with the columns path, image_id, added and in_index.

        A value that a spreadsheet would compute, such as `=1+1`, starts with an apostrophe.
        """
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(ExportedFavourite.model_fields)
        for favourite in _export_favourites(service):
            values = favourite.model_dump(mode="json")
            writer.writerow([escape_cell(value) if isinstance(value, str) else value for value in values.values()])
        headers = {"Content-Disposition": 'attachment; filename="favourites.csv"'}
        return Response(text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

    @router.put(
        "/favourites/{image_id:path}",
        tags=["favourites"],
        status_code=204,
        response_class=Response,
        responses=NOT_FOUND_RESPONSE,
    )
    def add_favourite(image_id: ImageId) -> None:
        """Add an image to the favourites. The favourites survive a new index, and files that are moved."""
        row = service.get_image(image_id)
        if row is None:
            raise image_not_found(image_id)
        if image_id not in service.find_favourites():
            service.collections.add_favourite(image_id, row["sha256"], row["path"])

    @router.delete("/favourites/{image_id:path}", tags=["favourites"], status_code=204, response_class=Response)
    def remove_favourite(image_id: ImageId) -> None:
        """Remove an image from the favourites. An image that is no favourite is ignored."""
        found = service.find_favourites()
        stored_id = found[image_id].image_id if image_id in found else image_id
        service.collections.remove_favourites([stored_id])


def _export_favourites(service: Service) -> list[ExportedFavourite]:
    """Return all favourites, with the present path and ID of those that are in the index."""
    favourites = service.collections.favourites()
    found = find_favourites(favourites, service.searcher.index.table)
    image_ids = {favourite.image_id: image_id for image_id, favourite in found.items()}
    rows = {image_id: service.get_image(image_id) or {} for image_id in found}
    return [
        ExportedFavourite.model_validate(
            {
                "image_id": image_ids.get(favourite.image_id, favourite.image_id),
                "path": rows.get(image_ids.get(favourite.image_id, ""), {}).get("path", favourite.path),
                "added": favourite.added,
                "in_index": favourite.image_id in image_ids,
            }
        )
        for favourite in favourites
    ]


def _add_search_routes(router: APIRouter, service: Service) -> None:
    @router.get("/searches", tags=["saved searches"])
    def get_searches() -> SavedSearchesResponse:
        """Return all saved searches, sorted by name."""
        searches = service.collections.saved_searches()
        return SavedSearchesResponse(
            searches=[saved_search_response(saved.name, dict(saved.search), saved.saved) for saved in searches]
        )

    @router.get("/searches/{name:path}", tags=["saved searches"], responses=_NO_SEARCH)
    def get_search(name: SearchName) -> SavedSearchResponse:
        """Return the saved search with this name."""
        saved = service.collections.find_search(name)
        if saved is None:
            raise _search_not_found(name)
        return saved_search_response(saved.name, dict(saved.search), saved.saved)

    @router.put("/searches/{name:path}", tags=["saved searches"])
    def save_search(name: SearchName, request: SavedSearchRequest) -> SavedSearchResponse:
        """Save a search under a name. A search with the same name is replaced."""
        service.collections.save_search(name, request.model_dump(mode="json", exclude_defaults=True))
        saved = service.collections.find_search(name)
        if saved is None:  # another client has just removed it
            raise _search_not_found(name)
        return saved_search_response(saved.name, dict(saved.search), saved.saved)

    @router.delete(
        "/searches/{name:path}",
        tags=["saved searches"],
        status_code=204,
        response_class=Response,
        responses=_NO_SEARCH,
    )
    def remove_search(name: SearchName) -> None:
        """Remove the saved search with this name."""
        if not service.collections.remove_search(name):
            raise _search_not_found(name)


def _search_not_found(name: str) -> HTTPException:
    return HTTPException(404, f"There is no saved search {name!r}. GET /searches returns all saved searches.")


def _add_duplicate_route(router: APIRouter, service: Service) -> None:
    @router.get("/duplicates", tags=["near-duplicates"], responses=NOT_FOUND_RESPONSE)
    def get_duplicates(
        offset: Offset = 0,
        k: Annotated[int, fastapi.Query(ge=1, le=MAX_K, description="maximum number of groups to return")] = 20,
        image_id: Annotated[
            ImageId | None, fastapi.Query(description="only the group that contains this image")
        ] = None,
    ) -> DuplicatesResponse:
        """Return groups of near-duplicate images, the largest groups first.

        Every image of a group is a near-duplicate of the best image of this group.
        """
        searcher = service.searcher
        groups = service.duplicate_groups.groups(searcher.index, searcher.duplicate_bits)
        if image_id is not None:
            row = searcher.index.find_row(image_id)
            if row is None:
                raise image_not_found(image_id)
            groups = [group for group in groups if row in group]
        page = groups[offset : offset + k]
        return DuplicatesResponse(
            groups=[_duplicate_group(searcher.index.table, group) for group in page],
            more=len(groups) > offset + k,
            n_groups=len(groups),
        )


def _duplicate_group(table: Any, rows: Any) -> DuplicateGroup:
    shown = rows[:MAX_GROUP_IMAGES]
    unknown = np.full(len(shown), np.nan)
    ranked = Ranked(shown, unknown.astype(np.float32), unknown)
    matches = [search_match(match) for match in make_matches(table, ranked, [0] * len(shown))]
    sharpness = table["blur"].take(shown).to_pylist()
    images = [DuplicateImage(**dict(match), sharpness=value) for match, value in zip(matches, sharpness, strict=True)]
    return DuplicateGroup(images=images, best=images[0].image_id, n_images=len(rows))


def _add_download_route(router: APIRouter, service: Service) -> None:
    @router.post(
        "/download", tags=["images"], response_class=StreamingResponse, responses=_ZIP_RESPONSE | NOT_FOUND_RESPONSE
    )
    async def download(request: DownloadRequest) -> StreamingResponse:
        """Return the original files of several images in a zip file.

        Files that cannot be read are listed in the text `unreadable images.txt` inside of the zip file.
        """
        paths = await run_in_threadpool(_find_paths, service, request.image_ids)
        headers = {"Content-Disposition": 'attachment; filename="images.zip"'}
        return StreamingResponse(zip_images(paths), media_type="application/zip", headers=headers)


def _find_paths(service: Service, image_ids: list[str]) -> list[str]:
    """Return the paths of the image files, without repetitions."""
    paths = {}
    for image_id in dict.fromkeys(image_ids):
        row = service.get_image(image_id)
        if row is None:
            raise image_not_found(image_id)
        paths[image_id] = row["path"]
    return list(paths.values())

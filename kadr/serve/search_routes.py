"""Routes for search: `/search`, `/similar` and `/score`."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from fastapi.concurrency import run_in_threadpool

from kadr.search import Query, Term, parse_query
from kadr.serve.api_models import ERROR_RESPONSES, NOT_FOUND_RESPONSE, ScoreForm, ScoreResponse
from kadr.serve.image_routes import image_not_found
from kadr.serve.search_models import SearchFilters, SearchRequest, SearchResponse, SimilarForm
from kadr.serve.search_requests import build_filters, build_query
from kadr.serve.service import PagedQuery, Service
from kadr.serve.uploads import UploadRoute, read_upload

_MULTIPART = "multipart/form-data"


def search_routes(service: Service) -> APIRouter:
    """Create the router for the routes `/search`, `/similar` and `/score`."""
    router = APIRouter(tags=["search"], responses=ERROR_RESPONSES, route_class=UploadRoute)

    @router.post("/search")
    async def search(request: SearchRequest) -> SearchResponse:
        """Search by texts, by images in the index, or by a weighted combination of texts and images.

        A request without a query returns all images that pass the filters, by default newest first.
        """
        query = build_query(request, await run_in_threadpool(service.favourite_ids, request.filters))
        response = await service.search(PagedQuery(query, request.k, request.offset))
        return await _with_reading(service, response, request.text, query)

    @router.post("/similar", responses=NOT_FOUND_RESPONSE)
    async def similar(form: Annotated[SimilarForm, Form(media_type=_MULTIPART)]) -> SearchResponse:
        """Search for images that are similar to an image in the index or to an uploaded image."""
        image_id, image = form.image_id, form.image
        if (image_id is None) == (image is None):
            raise HTTPException(
                422, "The request must contain either image_id or image. Send exactly one of the two fields."
            )
        if image_id is not None and service.get_image(image_id) is None:
            raise image_not_found(image_id)
        content = None if image is None else await read_upload(service, image)
        text_terms = parse_query(form.text).terms if form.text else ()
        conditions = form.filters or SearchFilters()
        filters = build_filters(conditions, await run_in_threadpool(service.favourite_ids, conditions))
        added = (Term(term.weight, text=term.text, image_id=term.image_id) for term in form.terms or ())
        terms = (Term(1.0, image_id=image_id, content=content), *text_terms, *added)
        query = Query(terms, filters, form.fold_duplicates, form.sort)
        response = await service.search(PagedQuery(query, form.k, form.offset))
        return await _with_reading(service, response, form.text, query)

    @router.post("/score")
    async def score(form: Annotated[ScoreForm, Form(media_type=_MULTIPART)]) -> ScoreResponse:
        """Predict the relevance of an uploaded image for a text."""
        content = await read_upload(service, form.image)
        return ScoreResponse(relevance=await service.run_upload_task(service.searcher.score, content, form.text))

    return router


async def _with_reading(service: Service, response: SearchResponse, text: str, query: Query) -> SearchResponse:
    """Return a response that says how the search expression was read."""
    if not any(term.text is not None for term in query.terms):
        return response
    reading = await run_in_threadpool(service.searcher.explain, text, query)
    return response.model_copy(update={"read_as": reading.read_as, "hints": list(reading.hints)})

"""The route `/facets`: counts of images by folder, month, camera, colour and place."""

from dataclasses import asdict

from fastapi import APIRouter

from kadr.serve.api_models import ERROR_RESPONSES
from kadr.serve.search_models import FacetsRequest, FacetsResponse
from kadr.serve.search_requests import build_filters
from kadr.serve.service import Service


def facet_routes(service: Service) -> APIRouter:
    """Create the router for the route `/facets`."""
    router = APIRouter(tags=["search"], responses=ERROR_RESPONSES)

    @router.post("/facets")
    def count_facets(request: FacetsRequest) -> FacetsResponse:
        """Count the images that pass the filters by folder, month, camera, colour and place."""
        filters = build_filters(request.filters, service.favourite_ids(request.filters))
        return FacetsResponse.model_validate(asdict(service.searcher.facets(filters)))

    return router

"""Routes for monitoring the server: `/health` and `/metrics`."""

from dataclasses import asdict

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from kadr.collection import COLOURS
from kadr.index import Index, read_indexing_state
from kadr.serve.api_models import HealthResponse, IndexingProgress
from kadr.serve.service import Service


def status_routes(service: Service) -> APIRouter:
    """Create the router for the routes `/health` and `/metrics`."""
    router = APIRouter(tags=["status"])

    @router.get("/health")
    async def health() -> HealthResponse:
        """Return the state of the server and of the index in use."""
        searcher, hot_reload = service.searcher, service.hot_reload
        return HealthResponse(
            status="ok",
            n_images=len(searcher.index.table),
            encoder=searcher.index.encoder,
            colours=list(COLOURS) if _has_colours(searcher.index) else [],
            relevance=searcher.rerank > 0,
            loaded_at=hot_reload.current.loaded_at,
            up_to_date=hot_reload.up_to_date,
            n_failed_reloads=hot_reload.n_failed_reloads,
            annotation_error=service.annotation.find_error(service.splits),
            indexing=_indexing_progress(searcher.index),
        )

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Return the server metrics in the text format of Prometheus."""
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _has_colours(index: Index) -> bool:
    return bool(index.table["colours"].null_count < len(index.table))


def _indexing_progress(index: Index) -> IndexingProgress | None:
    state = read_indexing_state(index.details)
    return None if state is None else IndexingProgress(**asdict(state))

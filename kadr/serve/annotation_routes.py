"""Routes of the annotation mode: get pairs to rate, and store ratings."""

from itertools import islice
from typing import Annotated

import fastapi
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from kadr.search import Query, Term
from kadr.serve.annotation import CandidatePair
from kadr.serve.api_models import (
    ERROR_RESPONSES,
    MAX_K,
    AnnotationPair,
    AnnotationPairsResponse,
    K,
    Rater,
    RatingRequest,
    RatingResponse,
    Text,
)
from kadr.serve.ratings_file import NewRating
from kadr.serve.service import PagedQuery, Service


def annotation_routes(service: Service) -> APIRouter:
    """Create the router for the routes under `/annotation`."""
    router = APIRouter(prefix="/annotation", tags=["annotation"], responses=ERROR_RESPONSES)
    annotation = service.annotation

    @router.get("/pairs")
    async def get_pairs(
        rater: Rater, k: Annotated[K, fastapi.Query()] = 20, text: Text = ""
    ) -> AnnotationPairsResponse:
        """Return the next unrated pairs: search results for `text`, or suggested pairs if `text` is empty."""
        candidates = await _search_candidates(service, text) if text else annotation.suggested_pairs()
        unrated_pairs = annotation.unrated_pairs(rater, candidates, service.get_split)
        pairs = await run_in_threadpool(lambda: list(islice(unrated_pairs, k)))
        return AnnotationPairsResponse(
            pairs=[_annotation_pair(service, pair) for pair in pairs], n_ratings=annotation.n_ratings
        )

    @router.post("/ratings", status_code=201)
    def post_rating(request: RatingRequest) -> RatingResponse:
        """Append a rating to the ratings file. If a rater rates the same pair twice, the new rating is used."""
        rating = NewRating(request.image_id, request.text, request.rater, request.rating)
        annotation.save_rating(rating, service.get_split)
        service.metrics.ratings.inc()
        return RatingResponse(n_ratings=annotation.n_ratings)

    return router


async def _search_candidates(service: Service, text: str) -> list[CandidatePair]:
    response = await service.search(PagedQuery(Query((Term(1.0, text=text),)), MAX_K))
    return [CandidatePair(match.image_id, text) for match in response.matches]


def _annotation_pair(service: Service, pair: CandidatePair) -> AnnotationPair:
    row = service.get_image(pair.image_id) or {}
    return AnnotationPair(image_id=pair.image_id, text=pair.text, width=row.get("width"), height=row.get("height"))

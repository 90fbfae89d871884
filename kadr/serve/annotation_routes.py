"""Routes of the annotation mode: pairs to rate, and ratings."""

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
    """Return the routes under `/annotation`."""
    router = APIRouter(prefix="/annotation", tags=["annotation"], responses=ERROR_RESPONSES)
    annotation = service.annotation

    @router.get("/pairs")
    async def get_pairs(
        rater: Rater, k: Annotated[K, fastapi.Query()] = 20, text: Text = ""
    ) -> AnnotationPairsResponse:
        """Return the next pairs to rate: search results of `text`, or the pairs of reports/rate_next.csv."""
        candidates = await _search_candidates(service, text) if text else annotation.suggested_pairs()
        unrated_pairs = annotation.unrated_pairs(rater, candidates, service.get_split)
        pairs = await run_in_threadpool(lambda: list(islice(unrated_pairs, k)))
        return AnnotationPairsResponse(
            pairs=[_annotation_pair(service, pair) for pair in pairs], n_ratings=annotation.n_ratings
        )

    @router.post("/ratings", status_code=201)
    def post_rating(request: RatingRequest) -> RatingResponse:
        """Store a rating for the next run of the pipeline. A rater can rate a pair again."""
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

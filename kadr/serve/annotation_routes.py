"""The serve part's routes of the judging mode: pairs to rate, and ratings for the next run of the pipeline."""

from itertools import islice
from typing import Annotated

import fastapi
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from kadr.search import Query, Term
from kadr.serve.annotation import Pair
from kadr.serve.api_models import (
    MAX_K,
    K,
    PairsAnswer,
    PairToRate,
    Rater,
    RatingAnswer,
    RatingRequest,
    Text,
)
from kadr.serve.ratings_file import NewRating
from kadr.serve.routes import PROBLEMS
from kadr.serve.service import Asked, Service


def judging_routes(service: Service) -> APIRouter:
    """`/pairs` and `/ratings`."""
    router = APIRouter(tags=["judging"], responses=PROBLEMS)

    @router.get("/pairs")
    async def pairs(rater: Rater, k: Annotated[K, fastapi.Query()] = 20, text: Text = "") -> PairsAnswer:
        """The pairs that a rater is asked next: of reports/rate_next.csv, or what a text finds."""
        candidates = await _found(service, text) if text else service.judging.queue()
        unrated = service.judging.unrated(rater, candidates, service.split_of)
        chosen = await run_in_threadpool(lambda: list(islice(unrated, k)))
        return PairsAnswer(pairs=[_to_rate(service, pair) for pair in chosen], n_rated=service.judging.n_rated)

    @router.post("/ratings", status_code=201)
    def rate(request: RatingRequest) -> RatingAnswer:
        """Keep a rating: a row of ratings_long.csv, which stage ingest reads. A later one of a pair replaces it."""
        rating = NewRating(request.image_id, request.text, request.rater, request.rating)
        service.judging.keep(rating, service.split_of)
        service.metrics.ratings.inc()
        return RatingAnswer(n_rated=service.judging.n_rated)

    return router


async def _found(service: Service, text: str) -> list[Pair]:
    answer = await service.search(Asked(Query((Term(1.0, text=text),)), MAX_K))
    return [Pair(match.image_id, text) for match in answer.matches]


def _to_rate(service: Service, pair: Pair) -> PairToRate:
    row = service.photo(pair.image_id) or {}
    return PairToRate(image_id=pair.image_id, text=pair.text, width=row.get("width"), height=row.get("height"))

"""Routes of the annotation mode: get pairs to rate, and store, list and withdraw ratings."""

from typing import Annotated

import fastapi
from fastapi import APIRouter, HTTPException
from fastapi.concurrency import run_in_threadpool

from kadr.search import Query, Term
from kadr.serve.annotation import Annotation, CandidatePair
from kadr.serve.api_models import (
    ERROR_RESPONSES,
    NOT_FOUND_RESPONSE,
    AnnotationPair,
    AnnotationPairsResponse,
    ImageId,
    K,
    RatedPair,
    Rater,
    RaterRatingsResponse,
    RatingRequest,
    RatingResponse,
    Text,
)
from kadr.serve.ratings_file import NewRating
from kadr.serve.search_requests import image_version
from kadr.serve.service import PagedQuery, Service

Cursor = Annotated[int, fastapi.Query(ge=0, description="`next_cursor` of the previous page")]

_MAX_CANDIDATES = 2000
"""Number of search results of a text that can be rated."""


def annotation_routes(service: Service) -> APIRouter:
    """Create the router for the routes under `/annotation`."""
    router = APIRouter(prefix="/annotation", tags=["annotation"], responses=ERROR_RESPONSES)
    annotation = service.annotation

    @router.get("/pairs")
    async def get_pairs(
        rater: Rater, k: Annotated[K, fastapi.Query()] = 20, text: Text = "", cursor: Cursor = 0
    ) -> AnnotationPairsResponse:
        """Return the next unrated pairs: search results for `text`, or suggested pairs if `text` is empty."""
        candidates = await _search_candidates(service, text) if text else annotation.suggested_pairs()
        page = await run_in_threadpool(annotation.select_pairs, rater, candidates, service.splits.get, k, cursor)
        return AnnotationPairsResponse(
            pairs=[_annotation_pair(service, pair) for pair in page.pairs],
            next_cursor=page.next_cursor,
            n_pairs=page.n_pairs,
            n_pairs_left=page.n_left,
            no_pairs_reason=None if page.n_pairs else annotation.explain_no_pairs(text),
            steps=annotation.scale.steps,
            n_ratings=annotation.n_ratings,
            n_by_rater=annotation.n_pairs_by(rater),
        )

    @router.get("/ratings")
    def get_ratings(rater: Rater, k: Annotated[K, fastapi.Query()] = 20) -> RaterRatingsResponse:
        """Return the last ratings of a rater, oldest first. The page uses them to go back after a reload."""
        ratings = [rating for rating in annotation.ratings_by(rater) if service.get_image(rating.image_id) is not None]
        return RaterRatingsResponse(
            ratings=[_rated_pair(service, rating) for rating in ratings[-k:]], n_by_rater=annotation.n_pairs_by(rater)
        )

    @router.post("/ratings", status_code=201)
    def post_rating(request: RatingRequest) -> RatingResponse:
        """Append a rating to the ratings file. If a rater rates the same pair twice, the new rating is used."""
        rating = NewRating(request.image_id, request.text, request.rater, request.rating)
        annotation.save_rating(rating, service.get_split)
        service.metrics.ratings.inc()
        return _rating_response(annotation, request.rater)

    @router.delete("/ratings", responses=NOT_FOUND_RESPONSE)
    def delete_rating(
        rater: Rater, image_id: ImageId, text: Annotated[Text, fastapi.Query(min_length=1)]
    ) -> RatingResponse:
        """Withdraw the rating of a pair by a rater."""
        if not annotation.withdraw_rating(rater, image_id, text):
            raise HTTPException(
                404, f"{rater!r} has no rating of image {image_id!r} and text {text!r}. There is nothing to withdraw."
            )
        return _rating_response(annotation, rater)

    return router


def _rating_response(annotation: Annotation, rater: str) -> RatingResponse:
    return RatingResponse(n_ratings=annotation.n_ratings, n_by_rater=annotation.n_pairs_by(rater))


async def _search_candidates(service: Service, text: str) -> list[CandidatePair]:
    """Return pairs of a text and its best search results, best first."""
    response = await service.search(PagedQuery(Query((Term(1.0, text=text),)), _MAX_CANDIDATES))
    return [CandidatePair(match.image_id, text) for match in response.matches]


def _annotation_pair(service: Service, pair: CandidatePair) -> AnnotationPair:
    row = service.get_image(pair.image_id) or {}
    return AnnotationPair(
        image_id=pair.image_id,
        text=pair.text,
        version=image_version(row.get("sha256")),
        width=row.get("width"),
        height=row.get("height"),
    )


def _rated_pair(service: Service, rating: NewRating) -> RatedPair:
    pair = _annotation_pair(service, CandidatePair(rating.image_id, rating.text))
    return RatedPair(**pair.model_dump(), rating=rating.rating)

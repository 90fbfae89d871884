"""Aggregate the expert and crowd ratings of each image-query pair into one relevance score from 0 to 1."""

from kadr.aggregate.aggregator import Aggregator
from kadr.aggregate.clip_split import CLIP, MODEL, UNUSED, split_pairs
from kadr.aggregate.graded_response_model import GradedResponseModel, fit_graded_response
from kadr.aggregate.next_ratings import select_next_ratings
from kadr.aggregate.rater_agreement import measure_agreement
from kadr.aggregate.registry import AGGREGATORS, methods_without_raters
from kadr.aggregate.relevance import Aggregation, aggregate_ratings, select_ratings, summarise_relevance

__all__ = [
    "AGGREGATORS",
    "CLIP",
    "MODEL",
    "UNUSED",
    "Aggregation",
    "Aggregator",
    "GradedResponseModel",
    "aggregate_ratings",
    "fit_graded_response",
    "measure_agreement",
    "methods_without_raters",
    "select_next_ratings",
    "select_ratings",
    "split_pairs",
    "summarise_relevance",
]

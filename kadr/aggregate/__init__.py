"""The library room's aggregate part: what many people said of a pair becomes one relevance in 0..1."""

from kadr.aggregate.agreement import agreement
from kadr.aggregate.clip_split import BETWEEN, CLIP, MODEL, divide
from kadr.aggregate.graded_response import GradedResponse, fit
from kadr.aggregate.next_ratings import rate_next
from kadr.aggregate.registry import AGGREGATORS, GRADED_RESPONSE, Aggregator, choose_aggregator
from kadr.aggregate.relevance import aggregate, figures, voting

__all__ = [
    "AGGREGATORS",
    "BETWEEN",
    "CLIP",
    "GRADED_RESPONSE",
    "MODEL",
    "Aggregator",
    "GradedResponse",
    "aggregate",
    "agreement",
    "choose_aggregator",
    "divide",
    "figures",
    "fit",
    "rate_next",
    "voting",
]

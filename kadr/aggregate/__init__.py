"""The library room's aggregate part: what many people said of a pair becomes one relevance in 0..1."""

from kadr.aggregate.methods import AGGREGATORS, Aggregator, choose_aggregator
from kadr.aggregate.relevance import aggregate, figures

__all__ = ["AGGREGATORS", "Aggregator", "aggregate", "choose_aggregator", "figures"]

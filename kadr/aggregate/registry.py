"""The registered aggregation methods, by the names of `aggregate.expert`."""

from kadr.aggregate.aggregator import Aggregator
from kadr.params import stages
from kadr.registry import Registry

AGGREGATORS: Registry[type[Aggregator]] = stages.AGGREGATORS


def methods_without_raters() -> list[str]:
    """Return the names of the methods that need no rater IDs, sorted."""
    return [name for name in AGGREGATORS.names if not AGGREGATORS.load(name).needs_raters]

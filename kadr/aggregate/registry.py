"""Registry of the aggregation methods. The setting `aggregate.expert` selects a method by name."""

from kadr.aggregate.aggregator import Aggregator
from kadr.params import stages
from kadr.registry import Registry

AGGREGATORS: Registry[type[Aggregator]] = stages.AGGREGATORS


def methods_without_raters() -> list[str]:
    """Return the sorted names of the methods that do not require rater IDs."""
    return [name for name in AGGREGATORS.names if not AGGREGATORS.load(name).needs_raters]

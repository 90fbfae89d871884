"""The library room's metrics: agreement with people, errors, retrieval, and their bootstrap intervals."""

from kadr.metrics.agreement import agreement, reliability
from kadr.metrics.benchmark_pairs import crowd_pairs, expert_pairs, leave_one_out
from kadr.metrics.bootstrap import Interval, bootstrap
from kadr.metrics.retrieval import ndcg_by_text, ranks, retrieval

__all__ = [
    "Interval",
    "agreement",
    "bootstrap",
    "crowd_pairs",
    "expert_pairs",
    "leave_one_out",
    "ndcg_by_text",
    "ranks",
    "reliability",
    "retrieval",
]

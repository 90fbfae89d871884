"""Evaluation metrics: rating agreement, prediction error, retrieval metrics, and bootstrap confidence intervals."""

from kadr.metrics.benchmark_ratings import crowd_ratings, expert_ratings, leave_one_out_ratings
from kadr.metrics.bootstrap import Interval, bootstrap
from kadr.metrics.pair_metrics import PAIR_METRICS, reliability_table
from kadr.metrics.retrieval import RETRIEVAL_METRICS, ndcg_by_query, target_ranks

__all__ = [
    "PAIR_METRICS",
    "RETRIEVAL_METRICS",
    "Interval",
    "bootstrap",
    "crowd_ratings",
    "expert_ratings",
    "leave_one_out_ratings",
    "ndcg_by_query",
    "reliability_table",
    "target_ranks",
]

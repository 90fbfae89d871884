"""Retrieval metrics: the rank of a query's own image, and the order of the rated images of each query."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from kadr.io.embeddings import Rows

Ranks = np.ndarray[tuple[int], np.dtype[np.int64]]


def target_ranks(scores: np.ndarray[tuple[int, int], np.dtype[np.floating]], target: Rows) -> Ranks:
    """Return the rank of each query's target image; rank 1 is the best.

    Args:
        scores: (n_queries, n_images); a higher score ranks first.
        target: (n_queries,) column of the image that the query describes.

    Returns:
        (n_queries,) ranks. Half of the images with the same score as the target rank before it.
    """
    target_score = scores[np.arange(len(target)), target][:, None]
    n_better = (scores > target_score).sum(axis=1)
    n_tied = (scores == target_score).sum(axis=1) - 1
    return np.asarray(1 + n_better + (n_tied + 1) // 2, dtype=np.int64)


def _recall(k: int, rank: Ranks) -> float | None:
    return float(np.mean(rank <= k)) if len(rank) else None


def _mean_reciprocal_rank(rank: Ranks) -> float | None:
    return float(np.mean(1.0 / rank)) if len(rank) else None


RETRIEVAL_METRICS: dict[str, Callable[[Ranks], float | None]] = {
    "recall_at_1": partial(_recall, 1),
    "recall_at_5": partial(_recall, 5),
    "recall_at_10": partial(_recall, 10),
    "mrr": _mean_reciprocal_rank,
}
"""Metric functions by name. A function takes target ranks (n_queries,) and returns None without queries."""


def ndcg_by_query(predictions: pd.DataFrame, k: int) -> "pd.Series[float]":
    """Compute NDCG@k over the rated images of each query (Jarvelin and Kekalainen 2002).

    The gain is the aggregated relevance. Images with equal scores share the mean of their gains.

    Args:
        predictions: columns query_id, relevance and score, one row per pair.
        k: number of top ranks that count.

    Returns:
        NDCG with index query_id, sorted. Queries whose rated images are all equally relevant are left out.
    """
    from sklearn.metrics import ndcg_score

    values = {
        query_id: float(ndcg_score(rows["relevance"].to_numpy()[None], rows["score"].to_numpy()[None], k=k))
        for query_id, rows in predictions.groupby("query_id")
        if np.ptp(rows["relevance"]) > 0
    }
    return pd.Series(values, dtype=float)

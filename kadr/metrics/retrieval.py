"""Retrieval metrics: recall@k and mean reciprocal rank of target images, and NDCG over rated images."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from kadr.io.embeddings import Rows

Ranks = np.ndarray[tuple[int], np.dtype[np.int64]]


def target_ranks(scores: np.ndarray[tuple[int, int], np.dtype[np.floating]], target: Rows) -> Ranks:
    """Return the rank of each query's target image. Rank 1 is the best.

    Args:
        scores: (n_queries, n_images) score of each image for each query. Higher scores rank first.
        target: (n_queries,) column of `scores` for each query's target image (the image that the query describes).

    Returns:
        (n_queries,) ranks. If other images have the same score as the target image, half of them are ranked above the
        target image.
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
"""Metric functions by name. Each function takes the target ranks, (n_queries,), and returns None if there are no
queries."""


def ndcg_by_query(predictions: pd.DataFrame, k: int) -> "pd.Series[float]":
    """Compute NDCG@k over the rated images of each query (Jarvelin and Kekalainen 2002).

    The gain is the aggregated relevance. If several images have the same score, the mean of their gains is used for
    each of them.

    Args:
        predictions: table with columns query_id, relevance and score, one row per pair.
        k: number of top-ranked images to include.

    Returns:
        NDCG of each query. The index contains the query IDs in ascending order. A query is excluded if all its rated
        images have the same relevance.
    """
    from sklearn.metrics import ndcg_score

    values = {
        query_id: float(ndcg_score(rows["relevance"].to_numpy()[None], rows["score"].to_numpy()[None], k=k))
        for query_id, rows in predictions.groupby("query_id")
        if np.ptp(rows["relevance"]) > 0
    }
    return pd.Series(values, dtype=float)

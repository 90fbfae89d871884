"""Retrieval: at which rank a text's own photo stands, and how well a text's rated photos are ordered."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from kadr.io.embeddings import Rows

Ranks = np.ndarray[tuple[int], np.dtype[np.int64]]


def ranks(scores: np.ndarray[tuple[int, int], np.dtype[np.floating]], target: Rows) -> Ranks:
    """Rank (1 is best) of each query's target photo: (n_queries,) int64.

    Args:
        scores: (n_queries, n_images); higher is better.
        target: (n_queries,) column of the photo that the query was written for. Photos that tie with it count half.
    """
    own = scores[np.arange(len(target)), target][:, None]
    better = (scores > own).sum(axis=1)
    ties = (scores == own).sum(axis=1) - 1
    return np.asarray(1 + better + (ties + 1) // 2, dtype=np.int64)


def _recall(k: int, rank: Ranks) -> float | None:
    return float(np.mean(rank <= k)) if len(rank) else None


def _mrr(rank: Ranks) -> float | None:
    return float(np.mean(1.0 / rank)) if len(rank) else None


retrieval: dict[str, Callable[[Ranks], float | None]] = {
    "recall_at_1": partial(_recall, 1),
    "recall_at_5": partial(_recall, 5),
    "recall_at_10": partial(_recall, 10),
    "mrr": _mrr,
}
"""Name -> figure(ranks of the right photos); None where there are no queries."""


def ndcg_by_text(predictions: pd.DataFrame, k: int) -> "pd.Series[float]":
    """NDCG@k of every text over its rated photos (Jarvelin and Kekalainen 2002): index query_id, sorted.

    The gain is the relevance by people; photos of equal score share the mean of their places. A text whose photos are
    all equally relevant, or that has one photo alone, has no order to find and is left out.

    Args:
        predictions: columns query_id, relevance, score; one row a pair.
        k: places that count.
    """
    from sklearn.metrics import ndcg_score

    figures = {
        query_id: float(ndcg_score(rows["relevance"].to_numpy()[None], rows["score"].to_numpy()[None], k=k))
        for query_id, rows in predictions.groupby("query_id")
        if np.ptp(rows["relevance"]) > 0
    }
    return pd.Series(figures, dtype=float)

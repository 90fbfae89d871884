"""Prediction examples: relevant pairs with the highest scores, and pairs with the largest errors."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from kadr.report.data_uri import thumbnail_data_uri

_MIN_RELEVANCE = 0.75


@dataclass(frozen=True)
class PredictionExample:
    """The image, query text, predicted relevance and rated relevance of one held-out pair.

    Attributes:
        thumbnail: Thumbnail of the image, as a data URI.
        image_id: ID of the image.
        text: Text of the query.
        score: Predicted relevance, 0 to 1.
        relevance: Rated relevance, 0 to 1.
    """

    thumbnail: str
    image_id: str
    text: str
    score: float
    relevance: float


def select_best(predictions: pd.DataFrame, n_pairs: int) -> pd.DataFrame:
    """Return the relevant pairs with the highest predictions, at most one pair per image.

    Args:
        predictions: Held-out predictions, with the columns of the schema PREDICTIONS. A pair is relevant if its rated
            relevance is at least 0.75.
        n_pairs: Maximum number of pairs.
    """
    relevant = predictions[predictions["relevance"] >= _MIN_RELEVANCE]
    ordered = relevant.sort_values(["score", "image_id", "query_id"], ascending=[False, True, True])
    return ordered.drop_duplicates("image_id").head(n_pairs)


def select_worst(predictions: pd.DataFrame, n_pairs: int) -> pd.DataFrame:
    """Return the pairs with the largest absolute difference between predicted and rated relevance.

    Args:
        predictions: Held-out predictions, with the columns of the schema PREDICTIONS.
        n_pairs: Maximum number of pairs.
    """
    error = (predictions["score"] - predictions["relevance"]).abs()
    ordered = predictions.assign(error=error).sort_values(
        ["error", "image_id", "query_id"], ascending=[False, True, True]
    )
    return ordered.head(n_pairs).drop(columns="error")


def make_examples(pairs: pd.DataFrame, texts: Mapping[str, str], paths: Mapping[str, str]) -> list[PredictionExample]:
    """Return a prediction example with a thumbnail for each pair.

    Args:
        pairs: Pairs to show, with the columns of the schema PREDICTIONS.
        texts: Mapping from query_id to query text.
        paths: Mapping from image_id to the path of the image file.
    """
    columns = (pairs[name] for name in ("image_id", "query_id", "score", "relevance"))
    return [
        PredictionExample(thumbnail_data_uri(paths[image_id]), image_id, texts[query_id], score, relevance)
        for image_id, query_id, score, relevance in zip(*columns, strict=True)
    ]

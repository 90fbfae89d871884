"""Select the pairs to rate next by expected variance reduction (MacKay 1992).

The criterion prefers pairs with few ratings over pairs on which experts disagree, because another rating changes the
estimate of a disputed pair only slightly.
"""

import numpy as np
import pandas as pd

from kadr.aggregate.graded_response_model import GradedResponseModel
from kadr.io.schemas import PAIR

COLUMNS = ["image_id", "path", "query_id", "text", "relevance", "sd", "sd_after", "n_expert", "n_votes"]


def select_next_ratings(
    ratings: pd.DataFrame, model: GradedResponseModel, images: pd.DataFrame, queries: pd.DataFrame, n: int
) -> pd.DataFrame:
    """Select the pairs for which another expert rating is expected to be most informative.

    Args:
        ratings: table with the RATINGS schema.
        model: graded response model, fitted to the ratings.
        images: table with columns image_id and path.
        queries: table with columns query_id and text.
        n: maximum number of pairs to select.

    Returns:
        Table with the columns in COLUMNS, sorted with the most informative pair first. The column `sd` contains the
        current standard deviation of the relevance. The column `sd_after` contains the expected standard deviation
        after another expert rating.
    """
    patterns = model.find_patterns(ratings)
    posterior, relevance = model.posterior(patterns), model.grid_relevance
    mean, sd = model.posterior_moments(patterns)
    rating_probability = posterior @ model.rating_probabilities[0].T
    mean_after = posterior @ (model.rating_probabilities[0] * relevance).T / rating_probability
    reduction = (rating_probability * (mean_after - mean[:, None]) ** 2).sum(axis=1)
    sd_after = (sd**2 - reduction).clip(min=0.0) ** 0.5
    n_expert = np.asarray(patterns.rating_counts.sum(axis=1)).astype(int)
    by_pattern = {
        "relevance": mean,
        "sd": sd,
        "sd_after": sd_after,
        "reduction": reduction.round(9),
        "n_expert": n_expert,
        "n_votes": patterns.votes[patterns.votes_row, 1],
    }
    pairs = patterns.pairs.assign(**{name: values[patterns.pattern_of_pair] for name, values in by_pattern.items()})
    selected = pairs.sort_values(["reduction", *PAIR], ascending=[False, True, True]).head(n)
    selected = selected.merge(images[["image_id", "path"]], on="image_id")
    return selected.merge(queries[["query_id", "text"]], on="query_id")[COLUMNS].round(4)

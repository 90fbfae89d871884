"""The aggregate part's next ratings: the pairs of which one more expert rating would tell most.

What a rating tells is the expected fall of the posterior variance (active learning by expected variance reduction;
MacKay 1992): a pair that is uncertain because it was hardly rated comes before one that experts dispute without end.
"""

import numpy as np
import pandas as pd

from kadr.aggregate.graded_response import GradedResponse

COLUMNS = ["image_id", "path", "query_id", "text", "relevance", "sd", "sd_after", "n_expert", "n_votes"]


def rate_next(
    ratings: pd.DataFrame, model: GradedResponse, images: pd.DataFrame, queries: pd.DataFrame, n: int
) -> pd.DataFrame:
    """The n pairs whose next rating would tell most, the best first; ties by id.

    Args:
        ratings: columns of RATINGS; the model was fitted on them.
        model: of the ratings.
        images: columns image_id, path.
        queries: columns query_id, text.
        n: how many.

    Returns:
        COLUMNS; `sd` is the posterior deviation of the relevance now, `sd_after` what is expected after one more expert
        rating.
    """
    patterns = model.patterns(ratings)
    posterior, unit = model.posterior(patterns), model.relevance
    mean, sd = model.moments(patterns)
    chance = posterior @ model.chances[0].T
    mean_after = posterior @ (model.chances[0] * unit).T / chance
    fall = (chance * (mean_after - mean[:, None]) ** 2).sum(axis=1)
    after = (sd**2 - fall).clip(min=0.0) ** 0.5
    n_expert = np.asarray(patterns.cells.sum(axis=1)).astype(int)
    at = patterns.of_pair
    pairs = patterns.pairs.assign(relevance=mean[at], sd=sd[at], sd_after=after[at], fall=fall.round(9)[at])
    pairs = pairs.assign(n_expert=n_expert[at], n_votes=patterns.votes[patterns.vote, 1][at])
    best = pairs.sort_values(["fall", "image_id", "query_id"], ascending=[False, True, True]).head(n)
    best = best.merge(images[["image_id", "path"]], on="image_id").merge(queries[["query_id", "text"]], on="query_id")
    return best[COLUMNS].round(4)

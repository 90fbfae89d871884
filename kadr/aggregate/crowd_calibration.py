"""Calibrate the crowd's votes to the expert scale.

Experts often rate a pair above the lowest level even if the whole crowd voted no. A pair without yes votes can
therefore have a relevance above 0. Isotonic regression (Barlow et al. 1972) maps the share of yes votes to a relevance
score. The regression is fitted to the pairs that have expert ratings and crowd votes.
"""

import numpy as np

from kadr.aggregate.response_patterns import Values

MIN_PAIRS = 30


def calibrate_crowd(share: Values, votes: Values, expert: Values) -> Values:
    """Replace the share of yes votes of each pair by an estimate of its mean expert rating.

    Args:
        share: (n_pairs,) share of yes votes in 0..1. NaN for pairs without votes.
        votes: (n_pairs,) number of votes, used as the weight of the pair.
        expert: (n_pairs,) mean expert rating, scaled to 0..1. NaN for pairs without expert ratings.

    Returns:
        (n_pairs,) calibrated relevance in 0..1. NaN for pairs without votes. The shares are returned unchanged if fewer
        than MIN_PAIRS pairs have both votes and expert ratings.
    """
    from sklearn.isotonic import IsotonicRegression

    has_votes = ~np.isnan(share)
    has_both = has_votes & ~np.isnan(expert)
    if has_both.sum() < MIN_PAIRS:
        return share
    regression = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    regression.fit(share[has_both], expert[has_both], sample_weight=votes[has_both])
    relevance = share.copy()
    relevance[has_votes] = regression.predict(share[has_votes])
    return relevance

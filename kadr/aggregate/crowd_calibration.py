"""Calibration of the crowd's votes to the expert scale.

Experts often rate a pair above the lowest level although no voter accepts it, so a share of 0 is not a relevance of 0.
Isotonic regression (Barlow et al. 1972) learns the relevance for each share from pairs that both sources rated.
"""

import numpy as np

from kadr.aggregate.response_patterns import Values

MIN_PAIRS = 30


def calibrate_crowd(share: Values, votes: Values, expert: Values) -> Values:
    """Convert shares of yes votes to the relevance that experts give to such pairs on average.

    Args:
        share: (n_pairs,) share of yes votes in 0..1; NaN without votes.
        votes: (n_pairs,) number of votes, the weight of the pair.
        expert: (n_pairs,) relevance by the experts in 0..1; NaN without expert ratings.

    Returns:
        (n_pairs,) relevance in 0..1; NaN without votes. If both sources rated fewer than MIN_PAIRS pairs, the shares
        are returned unchanged.
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

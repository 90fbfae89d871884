"""The aggregate part's crowd: its share of yes brought to the experts' scale.

A crowd says no to photos that experts still give a 2, so a share of 0 is no relevance of 0. Which relevance a share
stands for is learned by isotonic regression (Barlow et al. 1972) on the pairs that both have rated.
"""

import numpy as np

Values = np.ndarray[tuple[int], np.dtype[np.float64]]

MIN_PAIRS = 30  # rated by both, below which a share is taken as it is


def to_expert_scale(share: Values, votes: Values, expert: Values) -> Values:
    """The relevance that experts give, on average, to pairs of each crowd share.

    Args:
        share: (n_pairs,) share of yes in 0..1; NaN where the crowd did not vote.
        votes: (n_pairs,) votes behind it.
        expert: (n_pairs,) the experts' relevance in 0..1; NaN where they did not rate.

    Returns:
        (n_pairs,) in 0..1, rising with the share; NaN where the crowd did not vote. The share itself where fewer than
        MIN_PAIRS pairs were rated by both.
    """
    from sklearn.isotonic import IsotonicRegression

    voted = ~np.isnan(share)
    both = voted & ~np.isnan(expert)
    if both.sum() < MIN_PAIRS:
        return share
    scale = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    scale.fit(share[both], expert[both], sample_weight=votes[both])
    calibrated = share.copy()
    calibrated[voted] = scale.predict(share[voted])
    return calibrated

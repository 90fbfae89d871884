"""Response curves of expert raters: the graded response model (Samejima 1969) with lapses.

Rater r perceives the latent relevance theta of a pair with logistic noise and a leniency d_r. The rating is the highest
level k whose threshold b_k is below the perceived value. With probability e_r, the rater lapses and chooses one of the
K levels at random:

    P(rating >= k | theta, r) = 1 / (1 + exp(b_k - theta - d_r))
    Q(rating = k | theta, r)  = (1 - e_r) P(rating = k | theta, r) + e_r / K

Theta is measured in units of the noise, and the first threshold is 0. The grid of theta values extends from MARGIN
below the first threshold to MARGIN above the last threshold.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from kadr.aggregate.response_patterns import Values

Cube = np.ndarray[tuple[int, int, int], np.dtype[np.float64]]

N_GRID = 41
MARGIN = 4.5
GRID = np.linspace(0.0, 1.0, N_GRID)
"""Positions of the grid points: 0 is the lower end of the grid and 1 is the upper end."""

_LOG_GAP, _LAPSE = np.log(3.0), -3.0  # means of the normal priors
_LOG_GAP_SD, _LENIENCY_SD, _LAPSE_SD = 2.0, 1.0, 1.5


@dataclass(frozen=True)
class RaterCurves:
    """Parameters of the experts' response curves.

    Attributes:
        log_gap: (n_levels - 2,) logarithms of the distances between neighbouring thresholds.
        leniency: (n_raters,) leniency d_r of each rater. The mean leniency, weighted by the number of ratings, is 0.
        lapse: (n_raters,) logit of the lapse rate e_r of each rater.
    """

    log_gap: Values
    leniency: Values
    lapse: Values

    @classmethod
    def prior_mean(cls, n_levels: int, n_raters: int) -> "RaterCurves":
        """Return the prior means: a distance of 3 between thresholds, leniency 0, and a lapse rate of 5 %."""
        return cls(np.full(n_levels - 2, _LOG_GAP), np.zeros(n_raters), np.full(n_raters, _LAPSE))

    @property
    def n_levels(self) -> int:
        """Number of levels of the rating scale."""
        return len(self.log_gap) + 2

    def cumulative_probabilities(self, leniency: Values) -> Cube:
        """Return P(rating >= k) for k = 0 to n_levels, without lapses.

        Args:
            leniency: (n_raters,) leniency of each rater.

        Returns:
            (n_raters, n_levels + 1, N_GRID) probabilities.
        """
        threshold = np.concatenate([[0.0], np.cumsum(np.exp(self.log_gap))])
        theta = -MARGIN + GRID * (threshold[-1] + 2 * MARGIN)
        above = expit(theta[None, None, :] + leniency[:, None, None] - threshold[None, :, None])
        ends = np.ones((len(leniency), 1, N_GRID))
        return np.concatenate([ends, above, 0 * ends], axis=1)

    def probabilities(self) -> Cube:
        """Return the probability of each level, including lapses: (n_raters, n_levels, N_GRID)."""
        lapse = expit(self.lapse)[:, None, None]
        attentive = -np.diff(self.cumulative_probabilities(self.leniency), axis=1)
        probabilities: Cube = (1 - lapse) * attentive + lapse / self.n_levels
        return probabilities

    def expected_rating(self, levels: Values) -> Values:
        """Return the expected rating by a rater without leniency or lapses.

        The relevance is defined as this expected rating.

        Args:
            levels: (n_levels,) levels of the rating scale, scaled to 0..1.

        Returns:
            (N_GRID,) expected rating, in 0..1, at each grid point.
        """
        attentive = -np.diff(self.cumulative_probabilities(np.zeros(1)), axis=1)[0]
        return np.asarray(levels @ attentive)

    def m_step(self, counts: Cube, max_steps: int) -> "RaterCurves":
        """Update the parameters with L-BFGS (the M-step of the EM algorithm), and return the new curves.

        Args:
            counts: (n_raters, n_levels, N_GRID) expected number of ratings by each rater on each level at each grid
                point.
            max_steps: maximum number of L-BFGS iterations.
        """
        share = counts.sum(axis=(1, 2))
        share = share / max(share.sum(), 1e-300)
        start = np.concatenate([self.log_gap, self.leniency, self.lapse])
        options = {"maxiter": max_steps}
        best = minimize(_loss, start, (self.n_levels, counts, share), "L-BFGS-B", jac=True, options=options).x
        return _unpack(best, self.n_levels, share)


def _unpack(x: Values, n_levels: int, share: Values) -> RaterCurves:
    log_gap, leniency, lapse = np.split(x, [n_levels - 2, n_levels - 2 + len(share)])
    return RaterCurves(log_gap, leniency - share @ leniency, lapse)


def _loss(x: Values, n_levels: int, counts: Cube, share: Values) -> tuple[float, Values]:
    """Return the negative log posterior, divided by the number of ratings, and its gradient."""
    curves = _unpack(x, n_levels, share)
    lapse = expit(curves.lapse)[:, None, None]
    above = curves.cumulative_probabilities(curves.leniency)
    attentive = -np.diff(above, axis=1)
    probability = (1 - lapse) * attentive + lapse / n_levels
    ratio = counts / np.maximum(probability, 1e-300)
    slope = (1 - lapse) * above * (1 - above)
    by_theta = -(ratio * np.diff(slope, axis=1)).sum(axis=1)
    by_threshold = -(np.diff(ratio, axis=1) * slope[:, 1:-1]).sum(axis=(0, 2))
    by_gap = np.exp(curves.log_gap) * (np.cumsum(by_threshold[:0:-1])[::-1] + GRID @ by_theta.sum(axis=0))
    by_leniency = by_theta.sum(axis=1)
    by_leniency = by_leniency - share * by_leniency.sum()
    by_lapse = (ratio * (1 / n_levels - attentive)).sum(axis=(1, 2)) * (lapse * (1 - lapse))[:, 0, 0]
    prior_sd = _prior_sd(n_levels, len(share))
    standardised = (x - _prior_mean(n_levels, len(share))) / prior_sd
    log_likelihood = (counts * np.log(np.maximum(probability, 1e-300))).sum()
    loss = 0.5 * standardised @ standardised - log_likelihood
    gradient = standardised / prior_sd - np.concatenate([by_gap, by_leniency, by_lapse])
    n_ratings = max(counts.sum(), 1.0)
    return float(loss / n_ratings), gradient / n_ratings


def _prior_mean(n_levels: int, n_raters: int) -> Values:
    prior = RaterCurves.prior_mean(n_levels, n_raters)
    return np.concatenate([prior.log_gap, prior.leniency, prior.lapse])


def _prior_sd(n_levels: int, n_raters: int) -> Values:
    return np.repeat([_LOG_GAP_SD, _LENIENCY_SD, _LAPSE_SD], [n_levels - 2, n_raters, n_raters])

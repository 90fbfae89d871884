"""The aggregate part's curves of expert ratings: the graded response model (Samejima 1969) with lapses.

A rater r sees the latent relevance theta of a pair, shifted by a leniency d_r, through logistic noise, and says the
highest level whose threshold that exceeds; with probability e_r they say any level, whatever they see:

    P(rating >= k | theta, r) = 1 / (1 + exp(b_k - theta - d_r))
    Q(k | theta, r) = (1 - e_r) P(k | theta, r) + e_r / K

The unit of theta is the noise and its zero the first threshold, so the gaps between thresholds say how much noise there
is. The grid of theta reaches MARGIN beyond the outer thresholds, and moves with them.
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
"""Places on the grid as shares of its length."""

_LOG_GAP, _LAPSE = np.log(3.0), -3.0  # centres of the priors: normal, with these deviations
_LOG_GAP_SD, _LENIENCY_SD, _LAPSE_SD = 2.0, 1.0, 1.5


@dataclass(frozen=True)
class Graded:
    """The curves' parameters.

    Attributes:
        log_gap: (K - 2,) logarithms of the distances between thresholds.
        leniency: (n_raters,) d_r; their mean over all ratings is 0.
        lapse: (n_raters,) logits of e_r.
    """

    log_gap: Values
    leniency: Values
    lapse: Values

    @classmethod
    def prior(cls, n_levels: int, n_raters: int) -> "Graded":
        """Where the priors are centred: thresholds 3 units of noise apart, no leniency, 5 % lapses."""
        return cls(np.full(n_levels - 2, _LOG_GAP), np.zeros(n_raters), np.full(n_raters, _LAPSE))

    @property
    def n_levels(self) -> int:
        """Levels of the scale."""
        return len(self.log_gap) + 2

    def at_least(self, leniency: Values) -> Cube:
        """(n_raters, K + 1, N_GRID) P(rating >= k) of raters of these leniencies who do not lapse; k from 0 to K."""
        threshold = np.concatenate([[0.0], np.cumsum(np.exp(self.log_gap))])
        theta = -MARGIN + GRID * (threshold[-1] + 2 * MARGIN)
        above = expit(theta[None, None, :] + leniency[:, None, None] - threshold[None, :, None])
        ends = np.ones((len(leniency), 1, N_GRID))
        return np.concatenate([ends, above, 0 * ends], axis=1)

    def chances(self) -> Cube:
        """(n_raters, K, N_GRID) Q(k) of each rater."""
        lapse = expit(self.lapse)[:, None, None]
        careful = -np.diff(self.at_least(self.leniency), axis=1)
        chances: Cube = (1 - lapse) * careful + lapse / self.n_levels
        return chances

    def expected(self, levels: Values) -> Values:
        """(N_GRID,) what a rater without leniency and lapses says on average: the relevance at each place."""
        careful = -np.diff(self.at_least(np.zeros(1)), axis=1)[0]
        return np.asarray(levels @ careful)

    def maximise(self, counts: Cube, n_steps: int) -> "Graded":
        """Move towards the most probable parameters, at most `n_steps` of L-BFGS.

        Args:
            counts: (n_raters, K, N_GRID) expected number of ratings of each level by each rater at each place.
            n_steps: of the optimiser.
        """
        share = counts.sum(axis=(1, 2))
        share = share / max(share.sum(), 1e-300)
        start = np.concatenate([self.log_gap, self.leniency, self.lapse])
        options = {"maxiter": n_steps}
        found = minimize(_loss, start, (self.n_levels, counts, share), "L-BFGS-B", jac=True, options=options).x
        return _unpack(found, self.n_levels, share)


def _unpack(x: Values, n_levels: int, share: Values) -> Graded:
    log_gap, leniency, lapse = np.split(x, [n_levels - 2, n_levels - 2 + len(share)])
    return Graded(log_gap, leniency - share @ leniency, lapse)


def _loss(x: Values, n_levels: int, counts: Cube, share: Values) -> tuple[float, Values]:
    """Minus the log posterior per rating of the parameters x, and its gradient."""
    curves = _unpack(x, n_levels, share)
    lapse = expit(curves.lapse)[:, None, None]
    above = curves.at_least(curves.leniency)
    right = -np.diff(above, axis=1)
    chance = (1 - lapse) * right + lapse / n_levels
    pull = counts / np.maximum(chance, 1e-300)
    slope = (1 - lapse) * above * (1 - above)
    by_theta = -(pull * np.diff(slope, axis=1)).sum(axis=1)
    by_threshold = -(np.diff(pull, axis=1) * slope[:, 1:-1]).sum(axis=(0, 2))
    gap = np.exp(curves.log_gap)
    by_gap = gap * (np.cumsum(by_threshold[:0:-1])[::-1] + GRID @ by_theta.sum(axis=0))
    by_leniency = by_theta.sum(axis=1)
    by_leniency = by_leniency - share * by_leniency.sum()
    by_lapse = (pull * (1 / n_levels - right)).sum(axis=(1, 2)) * (lapse * (1 - lapse))[:, 0, 0]
    far = (x - _centre(n_levels, len(share))) / _width(n_levels, len(share))
    value = 0.5 * far @ far - (counts * np.log(np.maximum(chance, 1e-300))).sum()
    gradient = far / _width(n_levels, len(share)) - np.concatenate([by_gap, by_leniency, by_lapse])
    n_ratings = max(counts.sum(), 1.0)
    return float(value / n_ratings), gradient / n_ratings


def _centre(n_levels: int, n_raters: int) -> Values:
    prior = Graded.prior(n_levels, n_raters)
    return np.concatenate([prior.log_gap, prior.leniency, prior.lapse])


def _width(n_levels: int, n_raters: int) -> Values:
    return np.repeat([_LOG_GAP_SD, _LENIENCY_SD, _LAPSE_SD], [n_levels - 2, n_raters, n_raters])

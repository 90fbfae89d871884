"""Response curve of the crowd: a beta-binomial distribution (Skellam 1948) whose mean rises with the latent relevance.

    p(u) = g + (1 - g - s) / (1 + exp(-a (u - c)))        u: grid point, 0..1
    yes votes among n ~ BetaBinomial(n, mean p(u), intraclass correlation rho)

The guessing rate g is the share of yes votes for irrelevant images, and the slip rate s the share of no votes for
relevant images. The correlation rho models errors that the voters of a pair share, so that many votes do not count as
as many independent ratings.
"""

from dataclasses import astuple, dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit

from kadr.aggregate.rater_curves import GRID
from kadr.aggregate.response_patterns import Matrix, Values

_MAX_RATE = 0.2
_PRIOR_SD = np.array([0.25, 1.0, 1.5, 1.5, 1.5])  # of the normal priors, whose means are CrowdCurve's defaults


@dataclass(frozen=True)
class CrowdCurve:
    """Parameters of the crowd's response curve. The defaults are the means of the priors.

    Attributes:
        centre: c, the grid point at which half of the crowd votes yes.
        log_slope: logarithm of a.
        guess: logit of g / 0.2.
        slip: logit of s / 0.2.
        logit_correlation: logit of rho.
    """

    centre: float = 0.5
    log_slope: float = float(np.log(12.0))
    guess: float = -3.0
    slip: float = -3.0
    logit_correlation: float = -2.0

    def yes_probability(self) -> Values:
        """Return p(u) at each grid point: (N_GRID,)."""
        guess, slip = _MAX_RATE * expit(self.guess), _MAX_RATE * expit(self.slip)
        probability: Values = guess + (1 - guess - slip) * expit(np.exp(self.log_slope) * (GRID - self.centre))
        return probability

    @property
    def correlation(self) -> float:
        """Intraclass correlation rho of the votes of a pair."""
        return float(expit(self.logit_correlation))

    def log_likelihood(self, votes: Matrix) -> Matrix:
        """Return the log likelihood of votes at each grid point, up to a constant per row.

        Args:
            votes: (n, 2) numbers of yes votes and of all votes.

        Returns:
            (n, N_GRID) log likelihoods.
        """
        concentration = max((1 - self.correlation) / self.correlation, 1e-3)
        alpha, beta = self.yes_probability() * concentration, (1 - self.yes_probability()) * concentration
        yes, no = votes[:, :1], votes[:, 1:] - votes[:, :1]
        log_likelihood: Matrix = betaln(yes + alpha, no + beta) - betaln(alpha, beta)
        return log_likelihood

    def m_step(self, votes: Matrix, counts: Matrix, max_steps: int) -> "CrowdCurve":
        """Update the parameters towards the posterior mode with L-BFGS.

        Args:
            votes: (n, 2) distinct numbers of yes votes and of all votes.
            counts: (n, N_GRID) expected number of pairs by votes and grid point.
            max_steps: maximum number of optimiser steps.
        """
        has_votes = votes[:, 1] > 0
        votes, counts = votes[has_votes], counts[has_votes]
        prior_mean, n_pairs = np.array(astuple(CrowdCurve())), max(counts.sum(), 1.0)

        def loss(x: Values) -> float:
            standardised = (x - prior_mean) / _PRIOR_SD
            log_likelihood = (counts * CrowdCurve(*x).log_likelihood(votes)).sum()
            return float((0.5 * standardised @ standardised - log_likelihood) / n_pairs)

        best = minimize(loss, np.array(astuple(self)), method="L-BFGS-B", options={"maxiter": max_steps})
        return CrowdCurve(*(float(value) for value in best.x))

"""Response curve of the crowd: the probability of a yes vote as a function of the latent relevance.

    p(u) = g + (1 - g - s) / (1 + exp(-a (u - c)))        u: grid point, 0..1
    yes votes among n ~ BetaBinomial(n, mean p(u), intraclass correlation rho)

The number of yes votes follows a beta-binomial distribution (Skellam 1948). The guessing rate g is the share of yes
votes for irrelevant images. The slip rate s is the share of no votes for relevant images. Votes on the same pair are
correlated because voters make the same errors. The correlation rho prevents ten votes from counting as ten independent
ratings.
"""

from dataclasses import astuple, dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit

from kadr.aggregate.rater_curves import GRID
from kadr.aggregate.response_patterns import Matrix, Values

_MAX_RATE = 0.2
# Standard deviations of the normal priors. The prior means are the default values of CrowdCurve.
_PRIOR_SD = np.array([0.25, 1.0, 1.5, 1.5, 1.5])


@dataclass(frozen=True)
class CrowdCurve:
    """Parameters of the crowd's response curve. The default values are the prior means.

    Attributes:
        centre: the parameter c, the grid point at which the curve is steepest.
        log_slope: logarithm of the slope a.
        guess: guessing rate g, as logit(g / 0.2).
        slip: slip rate s, as logit(s / 0.2).
        logit_correlation: logit of the intraclass correlation rho.
    """

    centre: float = 0.5
    log_slope: float = float(np.log(12.0))
    guess: float = -3.0
    slip: float = -3.0
    logit_correlation: float = -2.0

    def yes_probability(self) -> Values:
        """Return the probability of a yes vote, p(u), at each grid point: (N_GRID,)."""
        guess, slip = _MAX_RATE * expit(self.guess), _MAX_RATE * expit(self.slip)
        probability: Values = guess + (1 - guess - slip) * expit(np.exp(self.log_slope) * (GRID - self.centre))
        return probability

    @property
    def correlation(self) -> float:
        """Intraclass correlation rho between votes on the same pair."""
        return float(expit(self.logit_correlation))

    def log_likelihood(self, votes: Matrix) -> Matrix:
        """Return the log likelihood of vote counts at each grid point.

        The binomial coefficient, which is constant in each row, is omitted.

        Args:
            votes: (n, 2) number of yes votes and total number of votes.

        Returns:
            (n, N_GRID) log likelihoods.
        """
        concentration = max((1 - self.correlation) / self.correlation, 1e-3)
        alpha, beta = self.yes_probability() * concentration, (1 - self.yes_probability()) * concentration
        yes, no = votes[:, :1], votes[:, 1:] - votes[:, :1]
        log_likelihood: Matrix = betaln(yes + alpha, no + beta) - betaln(alpha, beta)
        return log_likelihood

    def m_step(self, votes: Matrix, counts: Matrix, max_steps: int) -> "CrowdCurve":
        """Update the parameters with L-BFGS (the M-step of the EM algorithm), and return the new curve.

        Args:
            votes: (n, 2) distinct combinations of the number of yes votes and the total number of votes.
            counts: (n, N_GRID) expected number of pairs with each vote count at each grid point.
            max_steps: maximum number of L-BFGS iterations.
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

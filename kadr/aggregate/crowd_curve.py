"""The aggregate part's curve of crowd votes: a beta-binomial (Skellam 1948) whose mean rises with the latent relevance.

    p(u) = g + (1 - g - s) / (1 + exp(-a (u - c)))        u: place on the grid, 0..1
    yes of n ~ BetaBinomial(n, mean p(u), intraclass correlation rho)

g are voters who say yes to anything, s those who never do; rho says how far the voters of one pair err together, so
that many votes never count as as many experts.
"""

from dataclasses import astuple, dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit

from kadr.aggregate.rater_curves import GRID
from kadr.aggregate.response_patterns import Matrix, Values

_MAX_SLIP = 0.2
_WIDTH = np.array([0.25, 1.0, 1.5, 1.5, 1.5])  # of the priors, normal around the defaults


@dataclass(frozen=True)
class Votes:
    """The curve's parameters; the defaults are where the priors are centred, and what holds without any anchor.

    Attributes:
        centre: c. By default half of the crowd says yes to what is in the middle of the experts' scale.
        log_slope: logarithm of a.
        guess: logit of g / 0.2.
        slip: logit of s / 0.2.
        overlap: logit of rho.
    """

    centre: float = 0.5
    log_slope: float = float(np.log(12.0))
    guess: float = -3.0
    slip: float = -3.0
    overlap: float = -2.0

    def yes(self) -> Values:
        """(N_GRID,) the chance of a yes at each place."""
        guess, slip = _MAX_SLIP * expit(self.guess), _MAX_SLIP * expit(self.slip)
        rising: Values = guess + (1 - guess - slip) * expit(np.exp(self.log_slope) * (GRID - self.centre))
        return rising

    @property
    def correlation(self) -> float:
        """The intraclass correlation rho of the votes of one pair."""
        return float(expit(self.overlap))

    def log_chances(self, votes: Matrix) -> Matrix:
        """(n, N_GRID) log chance of each (yes, all) of (n, 2) votes, less what does not depend on the place."""
        size = max((1 - self.correlation) / self.correlation, 1e-3)
        yes, no = self.yes() * size, (1 - self.yes()) * size
        said, unsaid = votes[:, :1], votes[:, 1:] - votes[:, :1]
        chances: Matrix = betaln(said + yes, unsaid + no) - betaln(yes, no)
        return chances

    def maximise(self, votes: Matrix, counts: Matrix, n_steps: int) -> "Votes":
        """Move towards the most probable parameters, at most `n_steps` of L-BFGS.

        Args:
            votes: (n, 2) distinct (yes, all).
            counts: (n, N_GRID) expected number of pairs with each at each place.
            n_steps: of the optimiser.
        """
        voted = votes[:, 1] > 0
        centre, n_pairs = np.array(astuple(Votes())), max(counts[voted].sum(), 1.0)

        def loss(x: Values) -> float:
            far = (x - centre) / _WIDTH
            fit = (counts[voted] * Votes(*x).log_chances(votes[voted])).sum()
            return float((0.5 * far @ far - fit) / n_pairs)

        found = minimize(loss, np.array(astuple(self)), method="L-BFGS-B", options={"maxiter": n_steps})
        return Votes(*(float(value) for value in found.x))

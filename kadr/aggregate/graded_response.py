"""The aggregate part's method `graded_response`: experts and crowd see one latent relevance, each in their own way.

Empirical Bayes by EM (Dempster et al. 1977) on a fixed grid. The curves of experts and crowd are parametric (`graded`,
`votes`); the distribution of the latent relevance is not (Laird 1978), and differs between pairs that experts, the
crowd, or both rated. The posterior on the grid is exact. Formulas and judgement: docs/ratings.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from kadr.aggregate.crowd_curve import Votes
from kadr.aggregate.rater_curves import N_GRID, Cube, Graded
from kadr.aggregate.response_patterns import BOTH, Matrix, Numbers, Patterns, Values, find_levels, find_patterns

_MAX_ITERATIONS, _TOLERANCE = 500, 1e-6  # of the log likelihood per pair
_N_STEPS = 4  # of the optimiser in each iteration
_SMOOTHING = 5.0  # pairs by which a stratum leans towards the distribution of all pairs
_CHUNK = 50_000  # patterns at once: bounds memory


@dataclass(frozen=True)
class GradedResponse:
    """A fitted model.

    Attributes:
        levels: (K,) of the experts' scale on 0..1.
        raters: known by name; row 0 of the curves is for all others.
        n_ratings: (n_raters + 1,) ratings that each gave.
        graded: the experts' curves.
        votes: the crowd's curve.
        mass: (3, N_GRID) distribution of the latent relevance in each stratum.
    """

    levels: Values
    raters: tuple[str, ...]
    n_ratings: Values
    graded: Graded
    votes: Votes
    mass: Matrix

    @property
    def relevance(self) -> Values:
        """(N_GRID,) what a careful expert says on average at each place, on 0..1."""
        return self.graded.expected(self.levels)

    @property
    def chances(self) -> Cube:
        """(n_raters + 1, K, N_GRID) of each level; an unnamed rater is like the named ones where all were named."""
        chances = self.graded.chances()
        if self.n_ratings[0] == 0 and self.n_ratings.sum() > 0:
            chances[0] = np.average(chances, axis=0, weights=self.n_ratings)
        return chances

    def patterns(self, ratings: pd.DataFrame) -> Patterns:
        """The distinct patterns of `ratings` (columns of RATINGS)."""
        return find_patterns(ratings, self.levels, self.raters)

    def posterior(self, patterns: Patterns) -> Matrix:
        """(m, N_GRID) distribution of the latent relevance of each pattern."""
        log_chance = np.log(self.chances).reshape(-1, N_GRID)
        posterior = patterns.cells @ log_chance + self.votes.log_chances(patterns.votes)[patterns.vote]
        posterior += np.log(self.mass)[patterns.stratum]
        posterior -= posterior.max(axis=1, keepdims=True, initial=-np.inf)
        np.exp(posterior, out=posterior)
        posterior /= posterior.sum(axis=1, keepdims=True)
        return np.asarray(posterior)

    def moments(self, patterns: Patterns) -> tuple[Values, Values]:
        """(m,) mean and (m,) standard deviation of the relevance of each pattern."""
        posterior = self.posterior(patterns)
        mean = posterior @ self.relevance
        return mean, np.sqrt(np.maximum(posterior @ self.relevance**2 - mean**2, 0.0))


def fit(ratings: pd.DataFrame, levels: Values | None = None) -> GradedResponse:
    """Learn the model from ratings.

    Args:
        ratings: columns of RATINGS, one row per rating; either source may be missing.
        levels: of the experts' scale on 0..1; by default those that the ratings show (`find_levels`).

    Returns:
        The model; the order of the rows changes nothing, and neither does the machine.
    """
    expert = ratings[ratings["source"] == "expert"]
    levels = find_levels(expert) if levels is None else levels
    raters = tuple(sorted(expert["rater"].dropna().unique()))
    patterns = find_patterns(ratings, levels, raters)
    n_ratings = np.asarray(patterns.n_pairs @ patterns.cells).reshape(len(raters) + 1, -1).sum(axis=1)
    graded, votes = Graded.prior(len(levels), len(raters) + 1), Votes()
    mass = np.full((BOTH + 1, N_GRID), 1 / N_GRID)
    before = -np.inf
    for _ in range(_MAX_ITERATIONS):
        counts, likelihood = _expect(patterns, graded, votes, mass)
        graded = graded.maximise(counts.cells.reshape(len(n_ratings), len(levels), N_GRID), _N_STEPS)
        votes = votes.maximise(patterns.votes, counts.votes, _N_STEPS)
        mass = _smoothed(counts.strata)
        if abs(likelihood - before) <= _TOLERANCE * max(patterns.n_pairs.sum(), 1.0):
            break
        before = likelihood
    return GradedResponse(levels, raters, n_ratings, graded, votes, mass)


@dataclass(frozen=True)
class _Counts:
    """Expected counts at each place of the grid: of ratings by cell, of pairs by votes and by stratum."""

    cells: Matrix
    votes: Matrix
    strata: Matrix


def _expect(patterns: Patterns, graded: Graded, votes: Votes, mass: Matrix) -> tuple[_Counts, float]:
    """The E-step: expected counts and the log likelihood."""
    log_chance = np.log(np.maximum(graded.chances(), 1e-300)).reshape(-1, N_GRID)
    log_votes, log_mass = votes.log_chances(patterns.votes), np.log(mass)
    counts = _Counts(np.zeros_like(log_chance), np.zeros_like(log_votes), np.zeros_like(mass))
    likelihood = 0.0
    for rows in _chunks(len(patterns.n_pairs)):
        cells, n_pairs = patterns.cells[rows], patterns.n_pairs[rows]
        joint = cells @ log_chance + log_votes[patterns.vote[rows]] + log_mass[patterns.stratum[rows]]
        highest = joint.max(axis=1, keepdims=True)
        np.exp(joint - highest, out=joint)
        total = joint.sum(axis=1, keepdims=True)
        likelihood += float(n_pairs @ (np.log(total) + highest)[:, 0])
        joint *= n_pairs[:, None] / total
        counts.cells[:] += cells.T @ joint
        counts.votes[:] += _summed(joint, patterns.vote[rows], len(counts.votes))
        counts.strata[:] += _summed(joint, patterns.stratum[rows], len(counts.strata))
    return counts, likelihood


def _summed(joint: Matrix, group: Numbers, n_groups: int) -> Matrix:
    """(n_groups, N_GRID) the sums of the rows of each group."""
    rows = np.arange(len(group))
    member = sparse.coo_array((np.ones(len(group)), (group, rows)), shape=(n_groups, len(group))).tocsr()
    return np.asarray(member @ joint)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))


def _smoothed(strata: Matrix) -> Matrix:
    """Each stratum's distribution, leaning a little towards that of all pairs."""
    pooled = strata.sum(axis=0) + 1 / N_GRID
    leaning = strata + _SMOOTHING * pooled / pooled.sum()
    return np.asarray(leaning / leaning.sum(axis=1, keepdims=True))
